{{/*
What the key Secret holds: as JSON, file names and base64. Empty where the cluster cannot be seen: a key made there
would be another one each time.

Keys are made once. An upgrade changes what the values say and nothing else, in an order in which nodes that have
the old Secret and nodes that have the new one understand each other.
*/}}
{{- define "kube-vrrp.clusterKeyData" -}}
{{- if include "kube-vrrp.seesCluster" . -}}
{{- $name := include "kube-vrrp.keysSecret" . -}}
{{- $where := printf "Secret %s/%s" .Release.Namespace $name -}}
{{- $found := lookup "v1" "Secret" .Release.Namespace $name -}}
{{- $wanted := .Values.clusterKey -}}
{{- if and .Release.IsUpgrade (not $found) -}}
{{- include "kube-vrrp.checkFirstKey" . -}}
{{- end -}}
{{- $old := dict -}}
{{- with $found -}}
{{- $old = default dict .data -}}
{{- include "kube-vrrp.checkKeys" (dict "where" $where "data" $old) -}}
{{- end -}}
{{- $data := dict "cluster.active" (toString $wanted.active | b64enc) -}}
{{- range $wanted.keys -}}
{{- $file := printf "cluster.%v" . -}}
{{- $made := printf "hex:%x" (randBytes 32 | b64dec) | b64enc -}}
{{- $_ := set $data $file (default $made (get $old $file)) -}}
{{- end -}}
{{- if $found -}}
{{- include "kube-vrrp.checkRotation" (dict "where" $where "old" $old "wanted" $wanted) -}}
{{- end -}}
{{- toJson $data -}}
{{- end -}}
{{- end -}}

{{/* Fail where an upgrade may make no key: only nodes that never had one are not parted by it. */}}
{{- define "kube-vrrp.checkFirstKey" -}}
{{- include "kube-vrrp.checkOtherInstalls" . -}}
{{- $name := include "kube-vrrp.keysSecret" . -}}
{{- $key := .Values.clusterKey -}}
{{- $speakers := lookup "apps/v1" "DaemonSet" .Release.Namespace (printf "%s-speaker" (include "kube-vrrp.fullname" .)) -}}
{{- $mounted := ternary "" $name (not (empty $speakers)) -}}
{{- range dig "spec" "template" "spec" "volumes" list $speakers -}}
{{- if eq .name "keys" -}}{{- $mounted = .secret.secretName -}}{{- end -}}
{{- end -}}
{{- if eq $mounted $name -}}
{{- fail (printf "Secret %s/%s is gone, and a new key would part the nodes that have it from those that do not: restore it, or, knowing that, make one with `kubectl -n %s create secret generic %s --from-literal=cluster.%v=hex:$(openssl rand -hex 32) --from-literal=cluster.active=%v`" .Release.Namespace $name .Release.Namespace $name $key.active $key.active) -}}
{{- else if $mounted -}}
{{- fail (printf "clusterKey.existingSecret: nodes have the keys of Secret %s/%s, and a new key would part those that have it from those that do not: keep clusterKey.existingSecret: %s" .Release.Namespace $mounted $mounted) -}}
{{- else if $key.signByDefault -}}
{{- fail "clusterKey.enabled: speakers have no key yet, and who is to sign without one takes no part in elections: upgrade with clusterKey.signByDefault: false first, and with true when every node has a speaker with the key" -}}
{{- end -}}
{{- end -}}

{{/* Fail where a file of the cluster's key cannot be used. Takes (dict "where" "Secret …" "data" {file: base64}). */}}
{{- define "kube-vrrp.checkKeys" -}}
{{- $where := .where -}}
{{- $ids := list -}}
{{- range $file, $encoded := .data -}}
{{- $text := b64dec $encoded | trimSuffix "\n" | trimSuffix "\r" -}}
{{- if eq $file "cluster.active" -}}
{{- else if eq $file "cluster.pass" -}}
{{- else if hasPrefix "cluster." $file -}}
{{- if not (regexMatch "^cluster[.]([1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-5])$" $file) -}}
{{- fail (printf "%s: %s names no key (accepted: cluster.1 to cluster.255 and cluster.active): remove the entry" $where $file) -}}
{{- end -}}
{{- if not (or (regexMatch "^hex:([0-9a-fA-F]{2}){32,64}$" $text) (and (not (hasPrefix "hex:" $text)) (ge (len $text) 32) (le (len $text) 64))) -}}
{{- fail (printf "%s: %s is not a key (accepted: hex: and 64 to 128 hexadecimal digits, or 32 to 64 characters): restore it; nodes go on with the one that they have" $where $file) -}}
{{- end -}}
{{- $ids = append $ids (trimPrefix "cluster." $file) -}}
{{- end -}}
{{- end -}}
{{- if not $ids -}}
{{- fail (printf "%s has no key of the cluster: add cluster.1 with `hex:` and 64 hexadecimal digits" $where) -}}
{{- end -}}
{{- $active := get .data "cluster.active" | b64dec | trimSuffix "\n" -}}
{{- if not (or (has $active $ids) (and (eq $active "") (eq (len $ids) 1))) -}}
{{- fail (printf "%s: cluster.active says %q (accepted: one of the ids %s)" $where $active (join ", " (sortAlpha $ids))) -}}
{{- end -}}
{{- end -}}

{{/* Fail where an upgrade would have nodes sign with a key that others do not have yet, or not any more. */}}
{{- define "kube-vrrp.checkRotation" -}}
{{- $active := toString .wanted.active -}}
{{- $before := get .old "cluster.active" | b64dec | trimSuffix "\n" -}}
{{- $ids := list -}}
{{- range $file, $_ := .old -}}
{{- if regexMatch "^cluster[.][0-9]+$" $file -}}
{{- $ids = append $ids (trimPrefix "cluster." $file) -}}
{{- end -}}
{{- end -}}
{{- $before = default (first $ids) $before -}}
{{- $listed := list -}}
{{- range .wanted.keys -}}{{- $listed = append $listed (toString .) -}}{{- end -}}
{{- if not (has $active $ids) -}}
{{- fail (printf "clusterKey.active: %s is not in %s yet, and nodes that do not have the key would not understand one that signs with it: upgrade with it in clusterKey.keys and clusterKey.active: %s first, and again with clusterKey.active: %s when every node has it (kube_vrrp_authentication_key_id, docs/authentication.md)" $active .where $before $active) -}}
{{- end -}}
{{- if not (has $before $listed) -}}
{{- fail (printf "clusterKey.keys: nodes sign with key %s of %s: upgrade with clusterKey.active: %s and %s still in clusterKey.keys first, and take it out when no node signs with it any more (kube_vrrp_authentication_key_id)" $before .where $active $before) -}}
{{- end -}}
{{- end -}}
