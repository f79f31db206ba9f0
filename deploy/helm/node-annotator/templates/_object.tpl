{{- /* An object with the labels that Helm wants, as YAML. */ -}}
{{- define "node-annotator.labelled" -}}
{{- $chart := .release.root.Chart -}}
{{- $labels := .object.metadata.labels | default dict -}}
{{- $_ := set $labels .release.words.managedByLabel "Helm" -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" $chart.Name $chart.Version | replace "+" "_") -}}
{{- $_ := set .object.metadata "labels" $labels -}}
{{- toYaml .object -}}
{{- end -}}

{{- /* Whether the release has an object. The priority level is that of all installations: it stays when one goes. */ -}}
{{- define "node-annotator.is-wanted" -}}
{{- $release := .release.root.Release -}}
{{- $values := .release.root.Values -}}
{{- $object := .object -}}
{{- $kind := $object.kind -}}
{{- if and (eq $kind "PriorityLevelConfiguration") $values.flowSchema.enabled -}}
{{- $_ := set $object.metadata.annotations "helm.sh/resource-policy" "keep" -}}
{{- $found := lookup $object.apiVersion $kind "" $object.metadata.name -}}
{{- $of := ($found.metadata | default dict).annotations | default dict -}}
{{- or (empty $found) (and (eq (get $of "meta.helm.sh/release-name") $release.Name) (eq (get $of "meta.helm.sh/release-namespace") $release.Namespace)) -}}
{{- else if has $kind (list "FlowSchema" "PriorityLevelConfiguration") -}}{{- $values.flowSchema.enabled -}}
{{- else if eq $kind "Namespace" -}}{{- ne $object.metadata.name $release.Namespace -}}
{{- else if eq $kind "PriorityClass" -}}{{- has $values.priorityClassName (list "own" .release.clusterObject) -}}
{{- else -}}true
{{- end -}}
{{- end -}}
