{{- /*
What a release chooses, put together with what the files of the chart hold. The files are generated from the
collectors of the binary: `words` stand in them for what is chosen here.

Takes a dict with `root`, and adds `words`, `data`, `collectors` (all, by name), `names` (those that run),
`classes`, `workloads` and `variables` (of the policies) to it.
*/ -}}
{{- define "node-annotator.release" -}}
{{- $root := .root -}}
{{- $values := .root.Values -}}
{{- $words := $root.Files.Get "files/words.json" | fromJson -}}
{{- $_ := set . "words" $words -}}
{{- $_ := set . "namespaces" (include "node-annotator.file" (dict "root" $root "words" $words "file" "words") | fromJson).namespaces -}}
{{- $_ := set . "clusterObject" (ternary $words.defaultClusterObject ($words.clusterObject | replace $words.namespace $root.Release.Namespace) (eq $root.Release.Namespace $words.defaultNamespace)) -}}
{{- $_ := set . "startupTaint" (default ($words.ownStartupTaint | replace $words.clusterObject .clusterObject) $values.startupTaint.key) -}}
{{- $_ := set . "data" (include "node-annotator.file" (dict "root" $root "words" $words "file" "objects" "clusterObject" .clusterObject "startupTaint" .startupTaint) | fromJson) -}}
{{- $_ := set . "collectors" (include "node-annotator.file" (dict "root" $root "words" $words "file" "collectors") | fromJson) -}}
{{- include "node-annotator.selection" . -}}
{{- include "node-annotator.workloads" . -}}
{{- include "node-annotator.checks" . -}}
{{- include "node-annotator.variables" . -}}
{{- end -}}

{{- /* A file with what is chosen in place of the words. The longer name is replaced before its part. */ -}}
{{- define "node-annotator.file" -}}
{{- $text := .root.Files.Get (printf "files/%s.json" .file) -}}
{{- $text = $text | replace .words.clusterObject (default .words.clusterObject .clusterObject) -}}
{{- $text = $text | replace .words.namespace .root.Release.Namespace | replace .words.prefix .root.Values.prefix -}}
{{- $text = $text | replace .words.generation (default .words.generation .root.Values.generation) -}}
{{- $text | replace .words.startupTaint (default .words.startupTaint .startupTaint) -}}
{{- end -}}

{{- /* Which collectors run: the words of `collectors`, in any order. */ -}}
{{- define "node-annotator.selection" -}}
{{- $all := .collectors -}}
{{- $chosen := dict -}}
{{- $added := list -}}
{{- $removed := list -}}
{{- range $word := .root.Values.collectors -}}
{{- $name := trimPrefix "-" $word -}}
{{- if and (not (has $word (list "all" "default"))) (not (hasKey $all $name)) -}}
{{- fail (printf "no collector is named `%s`\nvalid: %s; or `default`, `all`, `-NAME`" $name (keys $all | sortAlpha | join ", ")) -}}
{{- end -}}
{{- if hasPrefix "-" $word -}}{{- $removed = append $removed $name -}}{{- else -}}{{- $added = append $added $word -}}{{- end -}}
{{- end -}}
{{- range $word := (default (list "default") $added) -}}
{{- range $name, $collector := $all -}}
{{- if or (eq $word $name) (eq $word "all") (and (eq $word "default") $collector.default) -}}
{{- $_ := set $chosen $name true -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $names := keys $chosen | sortAlpha -}}
{{- range $name := $removed -}}{{- $names = without $names $name -}}{{- end -}}
{{- if not $names -}}{{- fail "`collectors` selects nothing: what it names is taken away" -}}{{- end -}}
{{- $_ := set . "names" $names -}}
{{- end -}}

{{- /* Which collectors share a DaemonSet, and which classes of namespaces there are. */ -}}
{{- define "node-annotator.workloads" -}}
{{- $values := .root.Values -}}
{{- $words := .words -}}
{{- $all := .collectors -}}
{{- $workloads := dict -}}
{{- $found := dict -}}
{{- range $name := .names -}}
{{- $needs := default "never" (index $all $name).hostNetwork -}}
{{- $hostNetwork := or (eq $needs "always") (and (eq $needs "on-request") $values.hostNetwork) -}}
{{- $class := ternary "privileged" (index $all $name).class $hostNetwork -}}
{{- $component := ternary $words.combined $name (eq $values.layout "combined") -}}
{{- $key := printf "%s/%s" $component $class -}}
{{- $workload := default (dict "component" $component "class" $class "hostNetwork" false "names" list) (get $workloads $key) -}}
{{- $_ := set $workload "hostNetwork" (or $workload.hostNetwork $hostNetwork) -}}
{{- $_ := set $workload "names" (append $workload.names $name) -}}
{{- $_ := set $workloads $key $workload -}}
{{- $_ := set $found $class true -}}
{{- end -}}
{{- $_ := set . "workloads" $workloads -}}
{{- $classes := list -}}
{{- range $class := list "restricted" "privileged" -}}
{{- if hasKey $found $class -}}{{- $classes = append $classes $class -}}{{- end -}}
{{- end -}}
{{- $_ := set . "classes" $classes -}}
{{- end -}}
