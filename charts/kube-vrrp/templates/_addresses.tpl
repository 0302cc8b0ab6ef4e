{{/* CEL: the addresses that a request adds to a VirtualIP, without their prefix lengths. */}}
{{- define "kube-vrrp.newAddresses" -}}
- name: before
  expression: >-
    request.operation == "UPDATE" ? oldObject.spec.addresses.map(a, a.address.split("/")[0]) : []
- name: added
  expression: >-
    object.spec.addresses.map(a, a.address.split("/")[0]).filter(a, isIP(a) && !(a in variables.before))
{{- end -}}

{{/* The Services' networks, as JSON: those of the values, and those that the cluster tells (Kubernetes 1.33 and newer). */}}
{{- define "kube-vrrp.serviceCIDRs" -}}
{{- $cidrs := default list .Values.serviceCIDRs -}}
{{- if .Capabilities.APIVersions.Has "networking.k8s.io/v1/ServiceCIDR" -}}
{{- range (default dict (lookup "networking.k8s.io/v1" "ServiceCIDR" "" "")).items -}}
{{- $cidrs = concat $cidrs .spec.cidrs -}}
{{- end -}}
{{- end -}}
{{- uniq $cidrs | toJson -}}
{{- end -}}
