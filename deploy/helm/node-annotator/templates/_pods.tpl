{{- /* What all pods have of the values: takes the metadata and the spec of a pod, and sets it there. */ -}}
{{- define "node-annotator.pod" -}}
{{- $values := .release.root.Values -}}
{{- $image := $values.image -}}
{{- $tag := default (ternary "" .release.root.Chart.AppVersion (not (empty $image.digest))) $image.tag -}}
{{- $_ := set .metadata "labels" (merge .metadata.labels $values.podLabels) -}}
{{- $_ := set .metadata "annotations" (merge .metadata.annotations $values.podAnnotations) -}}
{{- $container := first .spec.containers -}}
{{- $_ := set $container "image" (printf "%s%s%s" $image.repository (ternary "" (printf ":%s" $tag) (empty $tag)) (ternary "" (printf "@%s" $image.digest) (empty $image.digest))) -}}
{{- $_ := set $container "imagePullPolicy" $image.pullPolicy -}}
{{- if $values.resources -}}{{- $_ := set $container "resources" $values.resources -}}{{- end -}}
{{- $secrets := list -}}
{{- range $name := $image.pullSecrets -}}{{- $secrets = append $secrets (dict "name" $name) -}}{{- end -}}
{{- if $secrets -}}{{- $_ := set .spec "imagePullSecrets" $secrets -}}{{- end -}}
{{- if eq $values.priorityClassName "none" -}}{{- $_ := unset .spec "priorityClassName" -}}
{{- else if ne $values.priorityClassName "own" -}}{{- $_ := set .spec "priorityClassName" $values.priorityClassName -}}{{- end -}}
{{- $arch := uniq $values.arch -}}
{{- if eq (len $arch) 1 -}}{{- $_ := set .spec.nodeSelector .release.data.placement.architecture (first $arch) -}}{{- end -}}
{{- end -}}

{{- /* The DaemonSet of a workload, as JSON. */ -}}
{{- define "node-annotator.daemonset" -}}
{{- $release := .release -}}
{{- $workload := .workload -}}
{{- $values := .release.root.Values -}}
{{- $set := $release.data.daemonSet | toJson | replace $release.words.component $workload.component | fromJson -}}
{{- if ne $workload.component $release.words.combined -}}
{{- $_ := set $set.metadata "name" (printf "%s-%s" $set.metadata.name $workload.component) -}}
{{- end -}}
{{- $_ := set $set.metadata "namespace" (index $release.namespaces $workload.class) -}}
{{- $spec := $set.spec.template.spec -}}
{{- include "node-annotator.pod" (dict "release" $release "metadata" $set.spec.template.metadata "spec" $spec) -}}
{{- $_ := set $spec "nodeSelector" (merge $spec.nodeSelector $values.nodeSelector) -}}
{{- $required := $spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution -}}
{{- $_ := set $required "nodeSelectorTerms" (include "node-annotator.terms" . | fromJsonArray) -}}
{{- $tolerations := $values.tolerations -}}
{{- if and $values.startupTaint.enabled (not (has (dict "operator" "Exists") $tolerations)) -}}
{{- $tolerations = append $tolerations (dict "key" $release.startupTaint "operator" "Exists") -}}
{{- end -}}
{{- if $tolerations -}}{{- $_ := set $spec "tolerations" $tolerations -}}{{- else -}}{{- $_ := unset $spec "tolerations" -}}{{- end -}}
{{- if $workload.hostNetwork -}}{{- $_ := set $spec "hostNetwork" true -}}{{- end -}}
{{- include "node-annotator.container" (dict "release" $release "workload" $workload "spec" $spec) -}}
{{- toJson $set -}}
{{- end -}}

{{- /* Arguments, variables and mounts of the container. */ -}}
{{- define "node-annotator.container" -}}
{{- $release := .release -}}
{{- $values := .release.root.Values -}}
{{- $spec := .spec -}}
{{- $container := first .spec.containers -}}
{{- $env := dict -}}
{{- $host := dict -}}
{{- $labels := list -}}
{{- range $name := .workload.names -}}
{{- $collector := index $release.collectors $name -}}
{{- range $variable := $collector.env -}}{{- $_ := set $env $variable.name $variable -}}{{- end -}}
{{- range $variable := $collector.variables -}}
{{- if hasKey $values.env $variable -}}{{- $_ := set $env $variable (dict "name" $variable "value" (get $values.env $variable)) -}}{{- end -}}
{{- end -}}
{{- $host = merge $host (default dict $collector.host) -}}
{{- range $fact, $_ := $collector.factLabels -}}{{- if has $fact $release.labelNames -}}{{- $labels = append $labels $fact -}}{{- end -}}{{- end -}}
{{- end -}}
{{- range $name := .workload.names -}}
{{- if and (has "nfd" $values.labels) (not (has "nfd" $labels)) (index $release.collectors $name).nfd -}}{{- $labels = append $labels "nfd" -}}{{- end -}}
{{- end -}}
{{- range $name, $variable := $env -}}{{- $_ := set $container "env" (append $container.env $variable) -}}{{- end -}}
{{- $volumes := list -}}
{{- $mounts := list -}}
{{- range $index, $path := keys $host | sortAlpha -}}
{{- $name := dict "name" (printf "host-%d" $index) -}}
{{- $volumes = append $volumes (merge $name (index $host $path).volume) -}}
{{- $mounts = append $mounts (merge (dict "name" $name.name) (index $host $path).mount) -}}
{{- end -}}
{{- $_ := set $spec "volumes" (concat $volumes $spec.volumes) -}}
{{- $_ := set $container "volumeMounts" (concat $mounts $container.volumeMounts) -}}
{{- $chosen := dict
  "--collectors" (join "," .workload.names)
  "--generation" $values.generation
  "--give-up-after" (ternary "" $values.giveUpAfter (eq $values.giveUpAfter $release.data.limits.giveUpAfter))
  "--host-mount" (ternary "/host" "" (not (empty $host)))
  "--labels" (join "," $labels)
  "--stamp-day" (ternary "on" "" $values.stampDay)
  "--trust-sandbox" (ternary "on" "" $values.trustSandbox)
-}}
{{- $_ := set $container "args" (include "node-annotator.arguments" (dict "args" $container.args "chosen" $chosen) | fromJsonArray) -}}
{{- end -}}

{{- /* Of all arguments that there can be: what each says here, and those not that say nothing. */ -}}
{{- define "node-annotator.arguments" -}}
{{- $args := list -}}
{{- range $arg := .args -}}
{{- $option := regexFind "^--[a-z-]+" $arg -}}
{{- if not (hasKey $.chosen $option) -}}{{- $args = append $args $arg -}}
{{- else if get $.chosen $option -}}
{{- $args = append $args (ternary (printf "%s=%s" $option (get $.chosen $option)) $arg (contains "=" $arg)) -}}
{{- end -}}
{{- end -}}
{{- toJson $args -}}
{{- end -}}

{{- /* The terms of the affinity: those of each collector, and in each of them what holds for all. */ -}}
{{- define "node-annotator.terms" -}}
{{- $release := .release -}}
{{- $values := .release.root.Values -}}
{{- $placement := $release.data.placement -}}
{{- $excluded := deepCopy $placement.excluded -}}
{{- $chosen := $values.exclude -}}
{{- if $values.excludeControlPlane -}}{{- $chosen = append $chosen $placement.controlPlane -}}{{- end -}}
{{- range $exclusion := $chosen -}}
{{- $key := $exclusion | splitList "=" | first -}}
{{- if hasPrefix (printf "%s/" $values.prefix) $key -}}
{{- fail (printf "exclude: `%s`: labels under our prefix say what is done\nhint: `%s` keeps a node out" $exclusion $placement.optOut) -}}
{{- end -}}
{{- if not (contains "=" $exclusion) -}}{{- $_ := set $excluded $key list -}}
{{- else if not (hasKey $excluded $key) -}}{{- $_ := set $excluded $key (list ($exclusion | trimPrefix (printf "%s=" $key))) -}}
{{- else if get $excluded $key -}}{{- $_ := set $excluded $key (append (get $excluded $key) ($exclusion | trimPrefix (printf "%s=" $key))) -}}
{{- end -}}
{{- end -}}
{{- $common := list (dict "key" $placement.optOut "operator" "DoesNotExist") -}}
{{- range $key, $of := $excluded -}}
{{- $common = append $common (ternary (dict "key" $key "operator" "NotIn" "values" ($of | uniq | sortAlpha)) (dict "key" $key "operator" "DoesNotExist") (not (empty $of))) -}}
{{- end -}}
{{- $arch := $values.arch | uniq | sortAlpha -}}
{{- if gt (len $arch) 1 -}}{{- $common = append $common (dict "key" $placement.architecture "operator" "In" "values" $arch) -}}{{- end -}}
{{- $terms := list -}}
{{- range $name := .workload.names -}}
{{- range $term := index (index $release.collectors $name).terms $release.mark -}}
{{- $terms = append $terms (dict "matchExpressions" (concat $term $common)) -}}
{{- end -}}
{{- end -}}
{{- toJson $terms -}}
{{- end -}}

{{- /* What runs again what is stale, as JSON. */ -}}
{{- define "node-annotator.expire" -}}
{{- $release := . -}}
{{- $namespace := .root.Release.Namespace -}}
{{- range $object := .data.expire -}}
{{- if eq $object.kind "CronJob" -}}
{{- $_ := set $object.spec "schedule" $release.root.Values.expire.schedule -}}
{{- $pods := $object.spec.jobTemplate.spec.template -}}
{{- include "node-annotator.pod" (dict "release" $release "metadata" $pods.metadata "spec" $pods.spec) -}}
{{- $container := first $pods.spec.containers -}}
{{- $chosen := dict
  "--namespace" (ternary "" $namespace (eq $namespace $release.words.defaultNamespace))
  "--max-age" $release.root.Values.expire.maxAge
-}}
{{- $_ := set $container "args" (include "node-annotator.arguments" (dict "args" $container.args "chosen" $chosen) | fromJsonArray) -}}
{{- end -}}
{{- end -}}
{{- toJson .data.expire -}}
{{- end -}}
