{{/* Metadata of every CustomResourceDefinition; the schemas come from crds/ (make chart). */}}
{{- define "kube-vrrp.crdMetadata" -}}
annotations:
  helm.sh/resource-policy: keep
  kube-vrrp.io/version: {{ .Chart.AppVersion | quote }}
labels:
  {{- include "kube-vrrp.labels" (dict "root" . "component" "crds") | nindent 2 }}
{{- end -}}
