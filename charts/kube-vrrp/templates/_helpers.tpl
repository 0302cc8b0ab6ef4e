{{/* Names begin with this. The longest ending, "-nodeconfig-status", leaves 45 characters. */}}
{{- define "kube-vrrp.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 45 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What a component's pods are selected by; never changes. Takes (dict "root" $ "component" "…"). */}}
{{- define "kube-vrrp.selectorLabels" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of a component's objects. Takes (dict "root" $ "component" "…"), and "more": labels before commonLabels. */}}
{{- define "kube-vrrp.labels" -}}
{{ include "kube-vrrp.selectorLabels" . }}
app.kubernetes.io/part-of: kube-vrrp
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with merge (dict) (default dict .more) .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
Labels of a component's pods: without versions, so that a new chart alone restarts nothing.
Takes (dict "root" $ "component" "…").
*/}}
{{- define "kube-vrrp.podLabels" -}}
{{ include "kube-vrrp.selectorLabels" . }}
app.kubernetes.io/part-of: kube-vrrp
{{- with merge (dict) (get .root.Values .component).podLabels .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* An image's reference. Takes (dict "root" $ "image" .Values.….image). */}}
{{- define "kube-vrrp.image" -}}
{{- with .image.registry }}{{ . }}/{{ end -}}
{{- .image.repository -}}
{{- if .image.digest -}}
@{{ .image.digest }}
{{- else -}}
:{{ default .root.Chart.AppVersion .image.tag }}
{{- end -}}
{{- end -}}

{{- define "kube-vrrp.imagePullSecrets" -}}
{{- range $index, $name := .Values.imagePullSecrets -}}
{{- if $index }}
{{ end -}}
- name: {{ $name }}
{{- end -}}
{{- end -}}

{{/* The service accounts' names for the API server. */}}
{{- define "kube-vrrp.operatorUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "kube-vrrp.fullname" . }}-operator
{{- end -}}
{{- define "kube-vrrp.speakerUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "kube-vrrp.fullname" . }}-speaker
{{- end -}}
{{- define "kube-vrrp.testUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "kube-vrrp.fullname" . }}-test
{{- end -}}

{{- define "kube-vrrp.keysSecret" -}}
{{- default (printf "%s-keys" (include "kube-vrrp.fullname" .)) .Values.clusterKey.existingSecret -}}
{{- end -}}

{{- define "kube-vrrp.scriptsConfigMap" -}}
{{- default (printf "%s-scripts" (include "kube-vrrp.fullname" .)) .Values.speaker.checks.exec.existingConfigMap -}}
{{- end -}}

{{/* The ConfigMap with authorities; empty where there is none. */}}
{{- define "kube-vrrp.caConfigMap" -}}
{{- with .Values.speaker.checks.ca -}}
{{- if .existingConfigMap -}}
{{ .existingConfigMap }}
{{- else if .certificates -}}
{{ include "kube-vrrp.fullname" $ }}-ca
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The Secret with values of headers; empty where there is none. Values of before there were any have no section. */}}
{{- define "kube-vrrp.headerValuesSecret" -}}
{{- with .Values.speaker.checks.headerValues }}{{ .existingSecret }}{{ end -}}
{{- end -}}

{{/* Not empty where the cluster can be seen: not in `helm template`, nor in a dry run of the client's. */}}
{{- define "kube-vrrp.seesCluster" -}}
{{- if lookup "v1" "Namespace" "" "kube-system" }}yes{{ end -}}
{{- end -}}
