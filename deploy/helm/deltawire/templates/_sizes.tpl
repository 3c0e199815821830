{{/* How much to ask for: objects × bytes × rate. The same formulas as `deltawire manifest --size`. */}}

{{- define "deltawire.up" -}}
{{- mul (divf .value .step | ceil | int) .step -}}
{{- end -}}

{{- define "deltawire.bytesMib" -}}
{{- divf (mulf .Values.size.objects .Values.size.bytes) 1048576 -}}
{{- end -}}

{{- define "deltawire.coreResources" -}}
{{- if .Values.resources -}}
{{- toYaml .Values.resources -}}
{{- else -}}
{{- $workers := include "deltawire.workers" . | int -}}
{{- $reflectors := dig "runtime" "reflectors" 1 .Values.config | int -}}
{{- $used := add 160 (mul 35 (add (max 0 (sub $workers 2)) (max 0 (sub $reflectors 1)))) -}}
{{- $pages := mulf 1.6 (include "deltawire.bytesMib" . | float64) -}}
requests:
  cpu: {{ include "deltawire.up" (dict "value" (addf 100 (mulf 1.5 .Values.size.rate)) "step" 50) }}m
  memory: {{ include "deltawire.up" (dict "value" (addf $used (divf $pages 2)) "step" 32) }}Mi
limits:
  memory: {{ include "deltawire.up" (dict "value" (addf (mul 2 $used) $pages) "step" 32) }}Mi
{{- end -}}
{{- end -}}

{{- define "deltawire.disk" -}}
{{- $mib := maxf 1024 (mulf 4 (include "deltawire.bytesMib" . | float64)) -}}
{{- .Values.volume.size | default (printf "%dGi" (divf $mib 1024 | ceil | int)) -}}
{{- end -}}
