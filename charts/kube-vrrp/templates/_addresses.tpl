{{/* CEL: the addresses that a request adds to a VirtualIP, without their prefix lengths. */}}
{{- define "kube-vrrp.newAddresses" -}}
- name: before
  expression: >-
    request.operation == "UPDATE" ? oldObject.spec.addresses.map(a, a.address.split("/")[0]) : []
- name: added
  expression: >-
    object.spec.addresses.map(a, a.address.split("/")[0]).filter(a, isIP(a) && !(a in variables.before))
{{- end -}}
