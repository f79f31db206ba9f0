{{- /* What the policies list of the collectors that run. */ -}}
{{- define "node-annotator.variables" -}}
{{- $values := .root.Values -}}
{{- $mark := ternary "generation" "saved" (not (empty $values.generation)) -}}
{{- $labels := dict -}}
{{- $annotations := dict -}}
{{- $factLabels := dict -}}
{{- $labelNames := list -}}
{{- $done := list -}}
{{- $older := list -}}
{{- $facts := 0 -}}
{{- $other := 0 -}}
{{- range $name := .names -}}
{{- $collector := index $.collectors $name -}}
{{- $labels = merge $labels (index $collector.labels $mark) -}}
{{- $annotations = mergeOverwrite $annotations $collector.annotations (ternary $collector.day dict $values.stampDay) -}}
{{- range $fact, $key := $collector.factLabels -}}
{{- if has $fact $values.labels -}}{{- $_ := set $factLabels $key true -}}{{- $labelNames = append $labelNames $fact -}}{{- end -}}
{{- end -}}
{{- if has "nfd" $values.labels -}}{{- range $key := $collector.nfd -}}{{- $_ := set $factLabels $key true -}}{{- end -}}{{- end -}}
{{- $done = append $done (printf "'%s'" $collector.done) -}}
{{- if $collector.olderValues -}}{{- $older = append $older (printf "  '%s': %s" $collector.done $collector.olderValues) -}}{{- end -}}
{{- $facts = add $facts (int $collector.bytes.facts) -}}
{{- $other = add $other (int $collector.bytes.other) (ternary (int $collector.bytes.day) 0 $values.stampDay) -}}
{{- end -}}
{{- if gt (len $annotations) (int .data.limits.annotations) -}}
{{- fail (printf "the selected collectors have %d annotations, and a policy lists at most %d: select fewer" (len $annotations) (int .data.limits.annotations)) -}}
{{- end -}}
{{- $labelLines := list -}}
{{- $labelKeys := list -}}
{{- range $key, $value := $labels -}}
{{- $labelLines = append $labelLines (printf "  '%s': '%s'" $key $value) -}}
{{- $labelKeys = append $labelKeys (printf "  '%s'" $key) -}}
{{- end -}}
{{- $annotationLines := list -}}
{{- range $key, $bytes := $annotations -}}{{- $annotationLines = append $annotationLines (printf "  '%s': %d" $key (int $bytes)) -}}{{- end -}}
{{- $factLines := list -}}
{{- range $key, $_ := $factLabels -}}{{- $factLines = append $factLines (printf "  '%s'" $key) -}}{{- end -}}
{{- $saved := ternary "savedWithOlder" "saved" (not (empty $older)) -}}
{{- $_ := set . "mark" $mark -}}
{{- $_ := set . "labelNames" (concat $labelNames (ternary (list "nfd") list (has "nfd" $values.labels))) -}}
{{- $_ := set . "maxBytes" (add (min $facts (int .data.limits.factBytes)) $other) -}}
{{- $_ := set . "exceedsRun" (gt $facts (int64 .data.limits.factBytes)) -}}
{{- $_ := set . "variables" (dict
  "labels" (printf "{\n%s\n}" (join ",\n" $labelLines))
  "labelKeys" (printf "[\n%s\n]" (join ",\n" $labelKeys))
  "annotations" (printf "{\n%s\n}" (join ",\n" $annotationLines))
  "factLabels" (printf "[\n%s\n]" (join ",\n" $factLines))
  "doneLabels" (printf "[%s]" (join ", " $done))
  "olderValues" (ternary "" (printf "{\n%s\n}" (join ",\n" $older)) (or (empty $older) (eq $mark "generation")))
  "allDone" (index (index .data.allDone $values.startupTaint.onFailure) (ternary "generation" $saved (eq $mark "generation")))
) -}}
{{- end -}}

{{- /* The policies and their bindings, in the order in which they are applied. */ -}}
{{- define "node-annotator.policies" -}}
{{- $values := .root.Values -}}
{{- $kind := ternary (ternary "taint+labels" "taint" (not (empty .labelNames))) (ternary "labels" "plain" (not (empty .labelNames))) $values.startupTaint.enabled -}}
{{- $runs := list -}}
{{- if $values.policy.enabled -}}
{{- $runs = index .data.policy $kind -}}
{{- $_ := set (first $runs).metadata.annotations .words.settingsAnnotation (include "node-annotator.settings" .) -}}
{{- end -}}
{{- if $values.startupTaint.enabled -}}{{- $runs = concat $runs .data.startupTaint -}}{{- end -}}
{{- range $object := $runs -}}
{{- if $object.spec.matchConditions -}}
{{- $_ := set (first $object.spec.matchConditions) "expression" (index $.data.matchCondition (join "+" $.classes)) -}}
{{- end -}}
{{- end -}}
{{- $all := $runs -}}
{{- if and $values.policy.enabled $values.expire.schedule -}}{{- $all = concat $all .data.expirePolicy -}}{{- end -}}
{{- $items := list -}}
{{- range $object := $all -}}
{{- $items = append $items (include "node-annotator.filled" (dict "release" $ "object" $object) | fromJson) -}}
{{- end -}}
{{- toJson $items -}}
{{- end -}}

{{- /* A policy with what its variables list, and with the bound of a write, where facts could exceed it. */ -}}
{{- define "node-annotator.filled" -}}
{{- $release := .release -}}
{{- $spec := .object.spec -}}
{{- if $spec.variables -}}
{{- $variables := list -}}
{{- range $variable := $spec.variables -}}
{{- $expression := $variable.expression -}}
{{- if hasPrefix $release.words.slot $expression -}}{{- $expression = get $release.variables (trimPrefix $release.words.slot $expression) -}}{{- end -}}
{{- if $expression -}}{{- $variables = append $variables (dict "name" $variable.name "expression" $expression) -}}{{- end -}}
{{- end -}}
{{- $_ := set $spec "variables" $variables -}}
{{- end -}}
{{- if $spec.validations -}}
{{- $validations := list -}}
{{- range $rule := $spec.validations -}}
{{- if or $release.exceedsRun (not (contains $release.words.bytes $rule.expression)) -}}{{- $validations = append $validations $rule -}}{{- end -}}
{{- end -}}
{{- $_ := set $spec "validations" $validations -}}
{{- end -}}
{{- .object | toJson | replace .release.words.bytes (toString .release.maxBytes) -}}
{{- end -}}

{{- /* What the policy was made from, by which `doctor` makes it anew. */ -}}
{{- define "node-annotator.settings" -}}
{{- $values := .root.Values -}}
{{- $told := dict "version" .root.Chart.AppVersion "namespace" .root.Release.Namespace "classes" .classes "prefix" $values.prefix "collectors" .names -}}
{{- if $values.generation -}}{{- $_ := set $told "generation" $values.generation -}}{{- end -}}
{{- if $values.stampDay -}}{{- $_ := set $told "stamp-day" true -}}{{- end -}}
{{- if .labelNames -}}{{- $_ := set $told "labels" .labelNames -}}{{- end -}}
{{- if $values.startupTaint.enabled -}}
{{- $_ := set $told "startup-taint" .startupTaint -}}
{{- if ne $values.startupTaint.onFailure "keep" -}}{{- $_ := set $told "startup-taint-on-failure" $values.startupTaint.onFailure -}}{{- end -}}
{{- end -}}
{{- toJson $told -}}
{{- end -}}
