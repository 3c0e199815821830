{{/* The config files of the core and of the handlers' pods. Lists and maps leave these helpers as JSON. */}}

{{- define "deltawire.cluster" -}}
{{- keys (.Values.config.clusters | default dict) | first | default "default" -}}
{{- end -}}

{{/*
A resource as a person wrote it: {root, text} → {name, group, plural, namespaced}, as kubectl's grammar has it.
Of one that is not known the name must have the group.
*/}}
{{- define "deltawire.resource" -}}
{{- $parts := .text | trim | lower | splitList "." -}}
{{- $word := first $parts -}}
{{- $rest := rest $parts -}}
{{- $queries := list -}}
{{- if and $rest (regexMatch "^v[0-9][0-9a-z]*$" (first $rest)) -}}
{{- $queries = append $queries (dict "version" (first $rest) "group" (rest $rest | join ".")) -}}
{{- end -}}
{{- $queries = append $queries (dict "version" "" "group" (join "." $rest)) -}}
{{- $types := concat (.root.Files.Get "files/resources.json" | fromJsonArray) (.root.Values.config.resources | default list) -}}
{{- $found := dict -}}
{{- range $query := $queries -}}
{{- range $type := $types -}}
{{- $kind := lower $type.kind -}}
{{- $words := concat (list $type.plural ($type.singular | default $kind) $kind) ($type.short_names | default list) -}}
{{- $is_group := or (not $query.group) (eq $query.group $type.group) -}}
{{- $is_version := or (not $query.version) (eq $query.version $type.version) -}}
{{- if and (not $found) (has $word $words) $is_group $is_version -}}
{{- $name := ternary (printf "%s.%s" $type.plural $type.group) $type.plural (ne $type.group "") -}}
{{- $found = dict "name" $name "group" $type.group "plural" $type.plural "namespaced" $type.namespaced -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $found -}}
{{- if not $rest -}}
{{- fail (printf "the API group of %q is not known: name the resource with its group, such as %s.example.com" .text $word) -}}
{{- end -}}
{{- $found = dict "name" (join "." $parts) "group" (join "." $rest) "plural" $word "namespaced" true -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* What a handler watches: {root, handler} → [{resource, cluster, indexes, …}]. YAML 1.1 reads the key `on` as true. */}}
{{- define "deltawire.on" -}}
{{- $handler := .handler -}}
{{- $on := get $handler "on" | default (get $handler "true") -}}
{{- if not $on -}}
{{- fail (printf "handlers: %s must say what it watches, such as on: [pods]" $handler.name) -}}
{{- end -}}
{{- toJson $on -}}
{{- end -}}

{{/* Nothing may name another cluster than the one that all pods run in: {cluster, named}. */}}
{{- define "deltawire.isOurs" -}}
{{- if and .named (ne .named .cluster) -}}
{{- fail (printf "all pods talk to the cluster %q, in which they run; %q is watched as well: install a release there" .cluster .named) -}}
{{- end -}}
{{- end -}}

{{/* All informers: those of the config, then those that handlers watch besides, with their indexes. */}}
{{- define "deltawire.informers" -}}
{{- $root := . -}}
{{- $cluster := include "deltawire.cluster" . -}}
{{- $found := list -}}
{{- $names := list -}}
{{- range .Values.config.informers -}}
{{- include "deltawire.isOurs" (dict "cluster" $cluster "named" .cluster) -}}
{{- $type := include "deltawire.resource" (dict "root" $root "text" .resource) | fromJson -}}
{{- if has $type.name $names -}}
{{- fail (printf "config.informers: %q has an informer already; one serves all its handlers" .resource) -}}
{{- end -}}
{{- if and (eq $type.name "secrets") (not .secrets) -}}
{{- fail "config.informers: one on Secrets puts their values into the cache: say secrets: keep, hash or drop" -}}
{{- end -}}
{{- $found = append $found (mustMergeOverwrite (deepCopy .) (dict "resource" $type.name "cluster" $cluster)) -}}
{{- $names = append $names $type.name -}}
{{- end -}}
{{- range $handler := .Values.handlers -}}
{{- range $on := include "deltawire.on" (dict "handler" $handler) | fromJsonArray -}}
{{- $on = ternary (dict "resource" $on) $on (kindIs "string" $on) -}}
{{- include "deltawire.isOurs" (dict "cluster" $cluster "named" $on.cluster) -}}
{{- $type := include "deltawire.resource" (dict "root" $root "text" $on.resource) | fromJson -}}
{{- if and (eq $type.name "secrets") (not (has "secrets" $names)) -}}
{{- fail (printf "handlers: %s watches secrets, which puts their values into the cache: add an informer on secrets to config.informers that says secrets: keep, hash or drop" $handler.name) -}}
{{- end -}}
{{- if not (has $type.name $names) -}}
{{- $found = append $found (dict "resource" $type.name "cluster" $cluster) -}}
{{- $names = append $names $type.name -}}
{{- end -}}
{{- with $on.indexes -}}
{{- range $informer := $found -}}
{{- if eq $informer.resource $type.name -}}
{{- $_ := set $informer "indexes" (merge (dict) ($informer.indexes | default dict) $on.indexes) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* {root, host}: where control and workers are reached. */}}
{{- define "deltawire.endpoints" -}}
control: {{ .host }}:7400
{{- range $i := until (include "deltawire.workers" .root | int) }}
worker-{{ $i }}: {{ $.host }}:{{ add 7410 $i }}
{{- end }}
{{- end -}}

{{- define "deltawire.workers" -}}
{{- dig "runtime" "workers" 2 .Values.config -}}
{{- end -}}

{{/* What a handler's entry has of the config: {handler}. */}}
{{- define "deltawire.entry" -}}
{{- if eq (empty .handler.run) (empty .handler.command) -}}
{{- fail (printf "handlers: %s needs exactly one of run (a Python file) and command (a list)" .handler.name) -}}
{{- end -}}
{{- $handler := omit .handler "true" "code" "image" "resources" "envFrom" "keySecret" "pod" "replicas" -}}
{{- $_ := set $handler "on" (include "deltawire.on" . | fromJsonArray) -}}
{{- toJson $handler -}}
{{- end -}}

{{/* The core's: its handlers run elsewhere, and only say what they watch. */}}
{{- define "deltawire.coreConfig" -}}
{{- $config := deepCopy .Values.config -}}
{{- $store := merge (dict "dir" "/var/lib/deltawire/state") ($config.store | default dict) -}}
{{- $runtime := merge (dict "dir" "/run/deltawire/sockets") (omit ($config.runtime | default dict) "control" "health") -}}
{{- $endpoints := include "deltawire.endpoints" (dict "root" . "host" "127.0.0.1") | fromYaml -}}
{{- $handlers := list -}}
{{- $names := list -}}
{{- range .Values.handlers -}}
{{- if has .name $names -}}
{{- fail (printf "handlers: a second one named %q; replicas: 2 starts a handler twice" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- $entry := omit (include "deltawire.entry" (dict "handler" .) | fromJson) "run" "command" "env" -}}
{{- $handlers = append $handlers (set $entry "replicas" 0) -}}
{{- end -}}
{{- $set := dict
  "version" 1
  "clusters" (dict (include "deltawire.cluster" .) dict)
  "store" $store
  "runtime" $runtime
  "network" (dict "endpoints" $endpoints "listen" "0.0.0.0" "keys" "/etc/deltawire-keys")
  "metrics" (dict "listen" "0.0.0.0:9095" "public" true)
  "informers" (include "deltawire.informers" . | fromJsonArray)
  "handlers" $handlers
-}}
{{- range $part := list "resources" "engine" "archive" -}}
{{- with get $config $part -}}
{{- $_ := set $set $part . -}}
{{- end -}}
{{- end -}}
{{- range $part := list "engine" "archive" -}}
{{- $options := get $set $part -}}
{{- range $key := list "credentials" "ca" "cert" "key" -}}
{{- if and (kindIs "map" $options) (get ($options | default dict) $key) -}}
{{- fail (printf "config.%s.%s: no pod has this file" $part $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $set -}}
{{- end -}}

{{/* A handler's: {root, handler}. It leads to the core. */}}
{{- define "deltawire.handlerConfig" -}}
{{- $config := deepCopy .root.Values.config -}}
{{- $entry := include "deltawire.entry" . | fromJson -}}
{{- if .handler.code -}}
{{- $file := include "deltawire.codeFile" .handler -}}
{{- $attribute := regexFind "[.]py:.*$" .handler.run | trimPrefix ".py" -}}
{{- $_ := set $entry "run" (printf "/usr/share/deltawire/code/%s%s" $file $attribute) -}}
{{- end -}}
{{- $store := dict "dir" "/run/deltawire/no-state" -}}
{{- with dig "store" "shards" nil $config -}}
{{- $_ := set $store "shards" . -}}
{{- end -}}
{{- $own := dict "dir" "/run/deltawire/sockets" "control" true "health" "/tmp/deltawire-health" -}}
{{- $endpoints := include "deltawire.endpoints" (dict "root" .root "host" (include "deltawire.host" .root)) | fromYaml -}}
{{- $set := dict
  "version" 1
  "clusters" (dict (include "deltawire.cluster" .root) dict)
  "store" $store
  "runtime" (merge $own ($config.runtime | default dict))
  "network" (dict "endpoints" $endpoints "keys" "/etc/deltawire-keys")
  "informers" (include "deltawire.informers" .root | fromJsonArray)
  "handlers" (list $entry)
-}}
{{- with $config.resources -}}
{{- $_ := set $set "resources" . -}}
{{- end -}}
{{- toYaml $set -}}
{{- end -}}

{{/* The name of the file that a handler's code is mounted as. */}}
{{- define "deltawire.codeFile" -}}
{{- $file := regexFind "^.*[.]py" (.run | default "") -}}
{{- if not $file -}}
{{- fail (printf "handlers: %s has code, so run names its file, such as run: %s.py" .name .name) -}}
{{- end -}}
{{- if not (regexMatch "^[A-Za-z0-9._-]+$" (base $file)) -}}
{{- fail (printf "handlers: %s: a ConfigMap cannot hold a file named %q: letters, digits, '.', '_' and '-'" .name (base $file)) -}}
{{- end -}}
{{- base $file -}}
{{- end -}}
