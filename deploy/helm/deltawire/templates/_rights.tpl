{{/* Who may what. A right is {namespace ("*": all, and what has none), group, plural, verbs}. */}}

{{/* What the informers list and watch. */}}
{{- define "deltawire.reads" -}}
{{- $root := . -}}
{{- $rights := list -}}
{{- range $informer := include "deltawire.informers" . | fromJsonArray -}}
{{- $type := include "deltawire.resource" (dict "root" $root "text" $informer.resource) | fromJson -}}
{{- range $informer.namespaces | default (list "*") -}}
{{- $rights = append $rights (dict "namespace" . "group" $type.group "plural" $type.plural "verbs" (list "list" "watch")) -}}
{{- end -}}
{{- end -}}
{{- toJson $rights -}}
{{- end -}}

{{/* What a handler says it writes: {root, handler}. In the namespaces that it watches, or in all. */}}
{{- define "deltawire.writes" -}}
{{- $root := .root -}}
{{- $watched := list -}}
{{- range include "deltawire.on" . | fromJsonArray -}}
{{- $text := ternary . (dig "resource" "" (ternary dict . (kindIs "string" .))) (kindIs "string" .) -}}
{{- $watched = append $watched (include "deltawire.resource" (dict "root" $root "text" $text) | fromJson).name -}}
{{- end -}}
{{- $places := list -}}
{{- range $informer := include "deltawire.informers" .root | fromJsonArray -}}
{{- if has $informer.resource $watched -}}
{{- $places = concat $places ($informer.namespaces | default (list "*")) -}}
{{- end -}}
{{- end -}}
{{- $places = ternary (list "*") (uniq $places) (has "*" $places) -}}
{{- $rights := list -}}
{{- range .handler.writes -}}
{{- $words := splitList " " . -}}
{{- $verbs := initial $words | join " " -}}
{{- $what := last $words | splitList "/" -}}
{{- $type := include "deltawire.resource" (dict "root" $root "text" (first $what)) | fromJson -}}
{{- $subresource := rest $what | join "/" -}}
{{- $usual := ternary "get,update,patch" "get,create,update,patch,delete" (ne $subresource "") -}}
{{- $plural := ternary (printf "%s/%s" $type.plural $subresource) $type.plural (ne $subresource "") -}}
{{- range $place := ternary $places (list "*") $type.namespaced -}}
{{- $rights = append $rights (dict "namespace" $place "group" $type.group "plural" $plural "verbs" ($verbs | default $usual | splitList ",")) -}}
{{- end -}}
{{- end -}}
{{- toJson $rights -}}
{{- end -}}

{{/* One rule for the resources of a group that share their verbs. */}}
{{- define "deltawire.rules" -}}
{{- $plurals := dict -}}
{{- range . -}}
{{- $key := printf "%s %s" .group (join "," .verbs) -}}
{{- $_ := set $plurals $key (append (get $plurals $key | default list) .plural) -}}
{{- end -}}
{{- $rules := list -}}
{{- range $key := keys $plurals | sortAlpha -}}
{{- $parts := splitList " " $key -}}
{{- $resources := get $plurals $key | uniq | sortAlpha -}}
{{- $rules = append $rules (dict "apiGroups" (list (first $parts)) "resources" $resources "verbs" (last $parts | splitList ",")) -}}
{{- end -}}
{{- toJson $rules -}}
{{- end -}}

{{/*
Roles of this name that give the rights to the account of this name: {root, name, rights, and: more (rules)}.
Outside of the release's namespace their names begin with it: releases of one name in two namespaces would otherwise
take each other's rights away.
*/}}
{{- define "deltawire.granted" -}}
{{- $outside := printf "%s:%s" .root.Release.Namespace .name -}}
{{- $by_place := dict -}}
{{- range .rights -}}
{{- $_ := set $by_place .namespace (append (get $by_place .namespace | default list) .) -}}
{{- end -}}
{{- $everywhere := get $by_place "*" | default list -}}
{{- $rules := concat (.more | default list) (include "deltawire.rules" $everywhere | fromJsonArray) -}}
{{- if $rules -}}
{{- include "deltawire.role" (dict "root" .root "account" .name "name" $outside "kind" "ClusterRole" "namespace" "*" "rules" $rules) -}}
{{- end -}}
{{- range $place := without (keys $by_place) "*" | sortAlpha -}}
{{- $wanted := list -}}
{{- range $right := get $by_place $place -}}
{{- $is_covered := false -}}
{{- range $everywhere -}}
{{- $missing := $right.verbs -}}
{{- range $verb := .verbs }}{{ $missing = without $missing $verb }}{{ end -}}
{{- if and (eq .group $right.group) (eq .plural $right.plural) (not $missing) }}{{ $is_covered = true }}{{ end -}}
{{- end -}}
{{- if not $is_covered }}{{ $wanted = append $wanted $right }}{{ end -}}
{{- end -}}
{{- if $wanted -}}
{{- $found := include "deltawire.rules" $wanted | fromJsonArray -}}
{{- include "deltawire.role" (dict "root" $.root "account" $.name "name" (ternary $.name $outside (eq $place $.root.Release.Namespace)) "kind" "Role" "namespace" $place "rules" $found) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "deltawire.role" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata:
  {{- include "deltawire.metadata" (omit . "rules" "kind") | nindent 2 }}
rules:
  {{- toYaml .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  {{- include "deltawire.metadata" (omit . "rules" "kind") | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .account }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}
