{{- /* The rules for Prometheus. kube-state-metrics has `_` in the names of labels for what a metric cannot have. */ -}}
{{- define "node-annotator.rule" -}}
{{- $mangle := "[^a-zA-Z0-9]" -}}
{{- $text := .root.Files.Get "files/prometheus-rule.json" | replace .words.namespace .root.Release.Namespace -}}
{{- $text | replace (regexReplaceAll $mangle .words.prefix "_") (regexReplaceAll $mangle .root.Values.prefix "_") -}}
{{- end -}}
