{{/* What all pods have in common. */}}

{{/*
A pod's template: {root, component, account, container, volumes, read, and: image, pod}; container and volumes as YAML.
`read` is the text of what it reads once, at its start: a change of it rolls the pods.
*/}}
{{- define "deltawire.pod" -}}
{{- $pod := merge (dict) (.pod | default dict) .root.Values.pod -}}
metadata:
  labels:
    {{- include "deltawire.selector" . | nindent 4 }}
    {{- with merge (dict) ($pod.labels | default dict) .root.Values.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ sha256sum .read }}
    {{- with $pod.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ .account }}
  securityContext:
    {{- include "deltawire.podSecurity" . | nindent 4 }}
  terminationGracePeriodSeconds: {{ include "deltawire.graceSeconds" .root }}
  {{- include "deltawire.pullSecrets" .root | nindent 2 }}
  {{- with $pod.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- range $field := list "nodeSelector" "tolerations" "affinity" }}
  {{- with get $pod $field }}
  {{ $field }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  containers:
    - image: {{ .image | default (include "deltawire.image" .root) | quote }}
      {{- with .root.Values.image.pullPolicy }}
      imagePullPolicy: {{ . }}
      {{- end }}
      securityContext:
        {{- include "deltawire.containerSecurity" . | nindent 8 }}
      {{- .container | nindent 6 }}
  volumes:
    {{- .volumes | nindent 4 }}
    - name: run
      emptyDir: {medium: Memory, sizeLimit: 16Mi}
    - name: tmp
      emptyDir: {medium: Memory, sizeLimit: 64Mi}
{{- end -}}

{{- define "deltawire.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "deltawire.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "deltawire.pullSecrets" -}}
{{- with .Values.pullSecrets -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end -}}
{{- end -}}

{{- define "deltawire.mounts" -}}
- {name: config, mountPath: /etc/deltawire, readOnly: true}
- {name: keys, mountPath: /etc/deltawire-keys, readOnly: true}
- {name: run, mountPath: /run/deltawire}
- {name: tmp, mountPath: /tmp}
{{- end -}}

{{/* The config, and the list of keys with a process' own secrets as one folder: {root, config, secret}. */}}
{{- define "deltawire.volumes" -}}
- name: config
  configMap: {name: {{ .config }}}
- name: keys
  projected:
    defaultMode: 0440
    sources:
      - configMap: {name: {{ include "deltawire.allowed" .root }}}
      - secret: {name: {{ .secret }}}
{{- end -}}

{{/* Nothing is killed before it has drained (`runtime.drain_deadline`), and synced its files. */}}
{{- define "deltawire.graceSeconds" -}}
{{- $text := dig "runtime" "drain_deadline" 20 .Values.config | toString | trim -}}
{{- $units := dict "ms" 0.001 "s" 1 "m" 60 "h" 3600 "d" 86400 "w" 604800 -}}
{{- $seconds := 0.0 -}}
{{- if regexMatch "^[0-9.]+$" $text -}}
{{- $seconds = float64 $text -}}
{{- else -}}
{{- if not (regexMatch "^([0-9.]+(ms|[smhdw]))+$" $text) -}}
{{- fail (printf "config.runtime.drain_deadline: %q is not a duration: write it like 250ms, 60s, 5m, 1h30m or 7d" $text) -}}
{{- end -}}
{{- range regexFindAll "[0-9.]+(ms|[smhdw])" $text -1 -}}
{{- $unit := regexFind "[a-z]+" . -}}
{{- $seconds = addf $seconds (mulf (trimSuffix $unit . | float64) (get $units $unit)) -}}
{{- end -}}
{{- end -}}
{{- add 25 (floor $seconds | int) -}}
{{- end -}}
