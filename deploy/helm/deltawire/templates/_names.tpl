{{/* What things are called and which labels they have. */}}

{{- define "deltawire.name" -}}
{{- $name := .Values.fullnameOverride | default .Release.Name -}}
{{- if or (gt (len $name) 52) (not (regexMatch "^[a-z][a-z0-9-]*$" $name)) -}}
{{- fail (printf "%q cannot name all objects: set fullnameOverride to a letter, then lower case letters, digits and '-', at most 52" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* Under which name handlers reach the core. */}}
{{- define "deltawire.host" -}}
{{ include "deltawire.name" . }}.{{ .Release.Namespace }}.svc
{{- end -}}

{{- define "deltawire.allowed" -}}
{{- .Values.keys.allowedConfigMap | default (printf "%s-allowed" (include "deltawire.name" .)) -}}
{{- end -}}

{{- define "deltawire.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* Of a component: {root, component}. What selectors go by. */}}
{{- define "deltawire.selector" -}}
app.kubernetes.io/name: deltawire
app.kubernetes.io/instance: {{ include "deltawire.name" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Metadata: {root, name, and: namespace, component, labels}. Without a namespace it is the release's, "*" for none. */}}
{{- define "deltawire.metadata" -}}
name: {{ .name }}
{{- $namespace := .namespace | default .root.Release.Namespace }}
{{- if ne $namespace "*" }}
namespace: {{ $namespace }}
{{- end }}
labels:
  helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version | replace "+" "_" }}
  app.kubernetes.io/managed-by: {{ .root.Release.Service }}
  {{- if .component }}
  {{- include "deltawire.selector" . | nindent 2 }}
  {{- end }}
  {{- with merge (dict) (.labels | default dict) .root.Values.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .root.Values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
