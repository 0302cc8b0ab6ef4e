{{/* Where the kubelet finds a speaker. Takes (dict "values" .Values.speaker "path" "/…"). */}}
{{- define "kube-vrrp.speakerProbe" -}}
{{- if ne .values.metrics.bind "Node" -}}
host: 127.0.0.1
{{ end -}}
port: {{ .values.metrics.port }}
path: {{ .path }}
{{- end -}}

{{/* Whom checks may ask. A release of a version in which they could ask anybody keeps that until a value says otherwise. */}}
{{- define "kube-vrrp.checkTargets" -}}
{{- $anybody := "0.0.0.0/0,::/0" -}}
{{- $speakers := lookup "apps/v1" "DaemonSet" .Release.Namespace (printf "%s-speaker" (include "kube-vrrp.fullname" .)) -}}
{{- $before := ternary "" $anybody (empty $speakers) -}}
{{- range dig "spec" "template" "spec" "containers" list (default dict $speakers) -}}
{{- range .env -}}
{{- if eq .name "CHECK_TARGETS" -}}{{- $before = .value -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if .Values.speaker.checks.targets -}}
{{- join "," .Values.speaker.checks.targets -}}
{{- else if eq $before $anybody -}}
{{- $anybody -}}
{{- else -}}
{{- concat (list "Node" "Subnets") (include "kube-vrrp.serviceCIDRs" . | fromJsonArray) | join "," -}}
{{- end -}}
{{- end -}}
