{{- /* Refuses what the command line refuses, as far as it opens something; and namespaces that others use. */ -}}
{{- define "node-annotator.checks" -}}
{{- $root := .root -}}
{{- $values := .root.Values -}}
{{- $namespace := $root.Release.Namespace -}}
{{- if or (eq $namespace "default") (hasPrefix "kube-" $namespace) -}}
{{- fail (printf "the namespace `%s` is shared with others\nhint: the admission policy binds every service account of its namespace; name one that is used for nothing else: --namespace %s --create-namespace" $namespace .words.defaultNamespace) -}}
{{- end -}}
{{- range $suffix := .data.limits.namespaceEnds -}}
{{- if hasSuffix $suffix $namespace -}}
{{- fail (printf "the namespace `%s` ends as a further one of an installation does\nhint: leave out `%s`; it is added where it is needed" $namespace $suffix) -}}
{{- end -}}
{{- end -}}
{{- if gt (len $namespace) (int .data.limits.namespaceBytes) -}}
{{- fail (printf "the namespace `%s` leaves no room for the name of a further one: at most %d characters" $namespace (int .data.limits.namespaceBytes)) -}}
{{- end -}}
{{- if $root.Release.IsInstall -}}{{- include "node-annotator.check-namespace" . -}}{{- end -}}
{{- include "node-annotator.check-domain" (dict "release" . "value" $values.prefix "what" "prefix") -}}
{{- if $values.startupTaint.enabled -}}
{{- if not $values.policy.enabled -}}
{{- fail "without the admission policy a run could be done and leave the startup taint behind: set policy.enabled" -}}
{{- end -}}
{{- if semverCompare "<1.36.0-0" $root.Capabilities.KubeVersion.Version -}}
{{- fail (printf "startupTaint needs Kubernetes 1.36, and this is %s" $root.Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- $domain := .startupTaint | splitList "/" | first -}}
{{- if and (contains "/" .startupTaint) (not (has $domain .data.limits.autoscalerDomains)) -}}
{{- include "node-annotator.check-domain" (dict "release" . "value" $domain "what" "startupTaint.key") -}}
{{- end -}}
{{- end -}}
{{- if and $values.expire.maxAge (not (and $values.expire.schedule $values.stampDay)) -}}
{{- fail "expire.maxAge needs expire.schedule, and stampDay, by which the age is known" -}}
{{- end -}}
{{- range $name := $values.labels -}}
{{- include "node-annotator.check-label" (dict "release" $ "name" $name) -}}
{{- end -}}
{{- range $name, $value := $values.env -}}
{{- $known := list -}}
{{- range $collector := $.names -}}{{- $known = concat $known (default list (index $.collectors $collector).variables) -}}{{- end -}}
{{- if not (has $name $known) -}}{{- fail (printf "env: no selected collector reads `%s`\nvalid: %s" $name (default "none" ($known | sortAlpha | join ", "))) -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "node-annotator.check-domain" -}}
{{- range $owner := list "kubernetes.io" "k8s.io" -}}
{{- if or (eq $.value $owner) (hasSuffix (printf ".%s" $owner) $.value) -}}
{{- fail (printf "%s: `%s` is reserved: `%s` and everything under it belongs to Kubernetes; use a domain of your own" $.what $.value $owner) -}}
{{- end -}}
{{- end -}}
{{- range $owner := .release.data.limits.foreignDomains -}}
{{- if and (or (eq $.value $owner) (hasSuffix (printf ".%s" $owner) $.value)) (not $.release.root.Values.allowForeignPrefix) -}}
{{- fail (printf "%s: `%s` belongs to others, who trust keys under `%s` on Nodes\nhint: use a domain of your own; allowForeignPrefix insists" $.what $.value $owner) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "node-annotator.check-label" -}}
{{- $known := list -}}
{{- range $collector := .release.names -}}
{{- $one := index $.release.collectors $collector -}}
{{- $known = concat $known (keys (default dict $one.factLabels)) (ternary (list "nfd") list (not (empty $one.nfd))) -}}
{{- end -}}
{{- if not (has .name $known) -}}
{{- fail (printf "labels: `%s` is no fact of the selected collectors that can be a label\nvalid: %s" .name ($known | uniq | sortAlpha | join ", ")) -}}
{{- end -}}
{{- end -}}

{{- /* Whoever is in the namespace already would be bound by the policy, or could use the account. */ -}}
{{- define "node-annotator.check-namespace" -}}
{{- $words := .words -}}
{{- $namespace := .root.Release.Namespace -}}
{{- $others := list -}}
{{- range $account := (lookup "v1" "ServiceAccount" $namespace "").items -}}
{{- if not (has $account.metadata.name (list "default" $words.serviceAccount $words.checkAccount)) -}}
{{- $others = append $others (printf "serviceaccount/%s" $account.metadata.name) -}}
{{- end -}}
{{- end -}}
{{- range $pod := (lookup "v1" "Pod" $namespace "").items -}}
{{- if ne (get (default dict $pod.metadata.labels) $words.partOfLabel) $namespace -}}
{{- $others = append $others (printf "pod/%s" $pod.metadata.name) -}}
{{- end -}}
{{- end -}}
{{- if $others -}}
{{- fail (printf "the namespace `%s` is used by others: %s\nhint: the admission policy binds every service account of its namespace; name one that is used for nothing else: --namespace %s --create-namespace" $namespace ($others | join ", ") $words.defaultNamespace) -}}
{{- end -}}
{{- end -}}
