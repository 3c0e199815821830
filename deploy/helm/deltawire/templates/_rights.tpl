{{/* Who may what. A right is {namespace ("*": all, and what has none), group, plural, verbs, names: none for all}. */}}

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

{{/*
The Leases that decide which broker leads, where the config says so. A rule cannot name what is to be created; a name that
would be too long ends with a digest.
*/}}
{{- define "deltawire.leases" -}}
{{- $root := . -}}
{{- $engine := .Values.config.engine | default dict -}}
{{- $engine = ternary dict $engine (kindIs "string" $engine) -}}
{{- $leases := $engine.leases | default "nats" -}}
{{- $leases = ternary (dict "kind" $leases) $leases (kindIs "string" $leases) -}}
{{- $rights := list -}}
{{- if eq $leases.kind "kubernetes" -}}
{{- $names := list -}}
{{- range $informer := include "deltawire.informers" . | fromJsonArray -}}
{{- $type := include "deltawire.resource" (dict "root" $root "text" $informer.resource) | fromJson -}}
{{- $name := printf "%s.%s.%s" ($engine.name | default "deltawire") (include "deltawire.cluster" $root) $type.name -}}
{{- if gt (len $name) 253 -}}
{{- $name = printf "%s-%s" (regexReplaceAll "[.-]+$" (trunc 236 $name) "") (trunc 16 (sha256sum $name)) -}}
{{- end -}}
{{- $names = append $names $name -}}
{{- end -}}
{{- if $names -}}
{{- $right := dict "namespace" ($leases.namespace | default "deltawire") "group" "coordination.k8s.io" "plural" "leases" -}}
{{- $rights = append $rights (merge (dict "verbs" (list "create")) $right) -}}
{{- $rights = append $rights (merge (dict "verbs" (list "get" "update") "names" (uniq $names | sortAlpha)) $right) -}}
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
{{- $key := printf "%s %s %s" .group (join "," .verbs) (join "," .names) -}}
{{- $_ := set $plurals $key (append (get $plurals $key | default list) .plural) -}}
{{- end -}}
{{- $rules := list -}}
{{- range $key := keys $plurals | sortAlpha -}}
{{- $parts := splitList " " $key -}}
{{- $resources := get $plurals $key | uniq | sortAlpha -}}
{{- $rule := dict "apiGroups" (list (first $parts)) "resources" $resources "verbs" (index $parts 1 | splitList ",") -}}
{{- if last $parts }}{{ $_ := set $rule "resourceNames" (last $parts | splitList ",") }}{{ end -}}
{{- $rules = append $rules $rule -}}
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
{{- if and (eq .group $right.group) (eq .plural $right.plural) (not $missing) (not .names) }}{{ $is_covered = true }}{{ end -}}
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
