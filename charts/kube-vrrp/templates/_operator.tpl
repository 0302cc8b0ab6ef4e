{{/* Security contexts of what needs no privilege: the operator, and `helm test`. */}}
{{- define "kube-vrrp.unprivilegedPod" -}}
runAsNonRoot: true
{{- with .Values.operator.runAsUser }}
runAsUser: {{ int64 . }}
runAsGroup: {{ int64 . }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "kube-vrrp.unprivilegedContainer" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Several operators are put on different nodes where that can be, unless values say otherwise of pods. */}}
{{- define "kube-vrrp.operatorAffinity" -}}
{{- $values := .Values.operator }}
{{- $affinity := deepCopy (default dict $values.affinity) }}
{{- if and (gt (int $values.replicas) 1) (not (hasKey $affinity "podAntiAffinity")) }}
{{- $labels := include "kube-vrrp.selectorLabels" (dict "root" . "component" "operator") | fromYaml }}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" $labels) }}
{{- $preferred := list (dict "weight" 100 "podAffinityTerm" $term) }}
{{- $_ := set $affinity "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" $preferred) }}
{{- end }}
{{- if $affinity }}
{{- toYaml $affinity }}
{{- end }}
{{- end -}}
