{{/* Where the kubelet finds a speaker. Takes (dict "values" .Values.speaker "path" "/…"). */}}
{{- define "kube-vrrp.speakerProbe" -}}
{{- if ne .values.metrics.bind "Node" -}}
host: 127.0.0.1
{{ end -}}
port: {{ .values.metrics.port }}
path: {{ .path }}
{{- end -}}
