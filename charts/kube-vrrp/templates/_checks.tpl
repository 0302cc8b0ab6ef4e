{{/*
What would go wrong is said before anything is changed, in one sentence that says what to do. Where Helm cannot see
the cluster (`helm template`), only the values are looked at.
*/}}
{{- define "kube-vrrp.check" -}}
{{- include "kube-vrrp.checkValues" . -}}
{{- if include "kube-vrrp.seesCluster" . -}}
{{- include "kube-vrrp.checkNamespace" . -}}
{{- include "kube-vrrp.checkOtherInstalls" . -}}
{{- include "kube-vrrp.checkSelectors" . -}}
{{- include "kube-vrrp.checkKinds" . -}}
{{- include "kube-vrrp.checkExistingSecret" . -}}
{{- end -}}
{{- end -}}

{{/* What a schema cannot say. */}}
{{- define "kube-vrrp.checkValues" -}}
{{- if eq (toString .Values.enabled) "false" -}}
{{- fail "enabled: false is for charts that have this one as a dependency: give the dependency there a `condition`; to remove what is installed, `helm uninstall`" -}}
{{- end -}}
{{- $fullname := include "kube-vrrp.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $fullname) -}}
{{- fail (printf "the release's name, %s, would call a Service %s-speaker (accepted: lower-case letters, digits and hyphens, a letter first): choose another, or set fullnameOverride: kube-vrrp" .Release.Name $fullname) -}}
{{- end -}}
{{- $key := .Values.clusterKey -}}
{{- $ids := list -}}
{{- range $key.keys -}}{{- $ids = append $ids (toString .) -}}{{- end -}}
{{- if not (has (toString $key.active) $ids) -}}
{{- fail (printf "clusterKey.active: %v is not in clusterKey.keys (%s)" $key.active (join ", " $ids)) -}}
{{- end -}}
{{- if and (eq .Values.monitor.kind "ServiceMonitor" "PodMonitor") (eq .Values.speaker.metrics.bind "Loopback") -}}
{{- fail (printf "speaker.metrics.bind: Loopback leaves nothing for the %s to scrape: set it to All or Node, or monitor.kind to None" .Values.monitor.kind) -}}
{{- end -}}
{{- range .Values.operator.reservedVRIDs -}}
{{- $ends := splitList "-" (toString .) -}}
{{- if gt (int (first $ends)) (int (last $ends)) -}}
{{- fail (printf "operator.reservedVRIDs: %v begins after its end (accepted: 51, 1-10)" .) -}}
{{- end -}}
{{- end -}}
{{- range list "stateDir" "runDir" -}}
{{- $folder := get $.Values.speaker . -}}
{{- if has (clean $folder) (list "/" "/etc" "/var" "/var/lib" "/run" "/usr" "/home" "/root" "/proc" "/sys" "/dev") -}}
{{- fail (printf "speaker.%s: %s is not kube-vrrp's own; name a folder below it, for example %s/kube-vrrp" . $folder (clean $folder | trimSuffix "/")) -}}
{{- end -}}
{{- end -}}
{{- if eq (clean .Values.speaker.stateDir) (clean .Values.speaker.runDir) -}}
{{- fail (printf "speaker.stateDir and speaker.runDir are both %s: the one survives a reboot, the other must not" .Values.speaker.stateDir) -}}
{{- end -}}
{{- include "kube-vrrp.checkFileFolders" . -}}
{{- $exec := .Values.speaker.checks.exec -}}
{{- if and $exec.enabled (not $exec.scripts) (not $exec.existingConfigMap) -}}
{{- fail "speaker.checks.exec.enabled: there are no scripts: set speaker.checks.exec.scripts or speaker.checks.exec.existingConfigMap" -}}
{{- end -}}
{{- if and (or $exec.scripts $exec.existingConfigMap) (not $exec.enabled) -}}
{{- fail "speaker.checks.exec: there are scripts, and exec checks are off: set speaker.checks.exec.enabled: true" -}}
{{- end -}}
{{- if and $exec.scripts $exec.existingConfigMap -}}
{{- fail "speaker.checks.exec: set scripts or existingConfigMap, not both" -}}
{{- end -}}
{{- with .Values.speaker.checks.ca -}}
{{- if and .certificates .existingConfigMap -}}
{{- fail "speaker.checks.ca: set certificates or existingConfigMap, not both" -}}
{{- end -}}
{{- end -}}
{{- $names := list -}}
{{- range .Values.addressPolicy.rules -}}
{{- if has .name $names -}}
{{- fail (printf "addressPolicy.rules: two rules have the name %s" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- end -}}

{{/* Folders are mounted where they are: they must not hide what the speaker itself runs from. */}}
{{- define "kube-vrrp.checkFileFolders" -}}
{{- $seen := list -}}
{{- range $index, $_ := .Values.speaker.checks.file.folders -}}
{{- $folder := clean . -}}
{{- $where := printf "speaker.checks.file.folders[%d]: %s" $index . -}}
{{- if has $folder $seen -}}
{{- fail (printf "%s is there twice" $where) -}}
{{- end -}}
{{- $seen = append $seen $folder -}}
{{- if has $folder (list "/bin" "/dev" "/etc" "/lib" "/lib64" "/opt" "/proc" "/run" "/sbin" "/sys" "/usr" "/usr/bin" "/usr/lib" "/usr/local" "/var" "/var/lib" "/var/run") -}}
{{- fail (printf "%s would hide the speaker's own: name a folder below it" $where) -}}
{{- end -}}
{{- range list "/etc/kube-vrrp" "/opt/kube-vrrp" "/var/run/secrets" (clean $.Values.speaker.stateDir) (clean $.Values.speaker.runDir) -}}
{{- if or (hasPrefix (printf "%s/" .) (printf "%s/" $folder)) (hasPrefix (printf "%s/" $folder) (printf "%s/" .)) -}}
{{- fail (printf "%s lies in %s or holds it, which is the speaker's own: name another folder (checks may read in %s/files without being told)" $where . (clean $.Values.speaker.stateDir)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Speakers use the host's network, which two Pod Security levels refuse: no pod would ever start. */}}
{{- define "kube-vrrp.checkNamespace" -}}
{{- $namespace := lookup "v1" "Namespace" "" .Release.Namespace -}}
{{- if $namespace -}}
{{- $level := get (default dict $namespace.metadata.labels) "pod-security.kubernetes.io/enforce" -}}
{{- if has $level (list "baseline" "restricted") -}}
{{- fail (printf "namespace %s enforces the Pod Security level %q, and speakers need the host's network: `kubectl label namespace %s pod-security.kubernetes.io/enforce=privileged --overwrite`, or install into another namespace" .Release.Namespace $level .Release.Namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Two sets of speakers remove each other's addresses. */}}
{{- define "kube-vrrp.checkOtherInstalls" -}}
{{- range (default dict (lookup "apps/v1" "DaemonSet" "" "")).items -}}
{{- $labels := default dict .metadata.labels -}}
{{- $ours := and (eq (get $labels "app.kubernetes.io/part-of") "kube-vrrp") (eq (get $labels "app.kubernetes.io/component") "speaker") -}}
{{- $release := get (default dict .metadata.annotations) "meta.helm.sh/release-name" -}}
{{- $same := and (eq $release $.Release.Name) (eq .metadata.namespace $.Release.Namespace) -}}
{{- if and $ours $same (ne .metadata.name (printf "%s-speaker" (include "kube-vrrp.fullname" $))) -}}
{{- fail (printf "fullnameOverride, nameOverride: the release has DaemonSet %s, and one of another name would run beside it, with another key: set fullnameOverride: %s, or uninstall first" .metadata.name (trimSuffix "-speaker" .metadata.name)) -}}
{{- end -}}
{{- if and $ours (not $same) -}}
{{- fail (printf "kube-vrrp is installed already: DaemonSet %s in namespace %s%s; a node runs one speaker: upgrade that install, or uninstall it first" .metadata.name .metadata.namespace (ternary (printf ", release %s" $release) "" (ne $release ""))) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Kubernetes would refuse it too, in the middle of an upgrade. */}}
{{- define "kube-vrrp.checkSelectors" -}}
{{- $this := dict "root" . "component" "speaker" -}}
{{- $name := printf "%s-speaker" (include "kube-vrrp.fullname" .) -}}
{{- with lookup "apps/v1" "DaemonSet" .Release.Namespace $name -}}
{{- $before := get .spec.selector.matchLabels "app.kubernetes.io/name" -}}
{{- $wanted := get (include "kube-vrrp.selectorLabels" $this | fromYaml) "app.kubernetes.io/name" -}}
{{- if ne $before $wanted -}}
{{- fail (printf "nameOverride: DaemonSet %s selects its pods by the name %s, which cannot change: set nameOverride: %s, or uninstall first" $name $before $before) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The kinds outlive releases, so they may be another's, or newer. */}}
{{- define "kube-vrrp.checkKinds" -}}
{{- range list "virtualips" "healthchecks" "nodeconfigs" -}}
{{- $name := printf "%s.kube-vrrp.io" . -}}
{{- $found := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" $name -}}
{{- if $found -}}
{{- if $.Values.crds.enabled -}}
{{- include "kube-vrrp.checkKind" (dict "root" $ "name" $name "annotations" (default dict $found.metadata.annotations)) -}}
{{- end -}}
{{- else if not $.Values.crds.enabled -}}
{{- fail (printf "crds.enabled: false, and CustomResourceDefinition %s does not exist: set it to true, or `kubectl apply -f crds` from kube-vrrp %s" $name $.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "kube-vrrp.checkKind" -}}
{{- $release := .root.Release -}}
{{- $version := get .annotations "kube-vrrp.io/version" -}}
{{- if and $version (eq ((semver (default "0.0.0" $version)).Compare (semver .root.Chart.AppVersion)) 1) -}}
{{- fail (printf "CustomResourceDefinition %s is of kube-vrrp %s, newer than this chart's %s, which would take fields away: install chart %s or newer, or leave the kinds as they are with --set crds.enabled=false" .name $version .root.Chart.AppVersion $version) -}}
{{- end -}}
{{- $name := get .annotations "meta.helm.sh/release-name" -}}
{{- $namespace := get .annotations "meta.helm.sh/release-namespace" -}}
{{- if not (or .root.Values.crds.takeOwnership (and (eq $name $release.Name) (eq $namespace $release.Namespace))) -}}
{{- $whose := ternary "of no release" (printf "of the release %s in namespace %s" $name $namespace) (eq $name "") -}}
{{- fail (printf "CustomResourceDefinition %s is %s: take it over, and the objects with it, with --take-ownership --set crds.takeOwnership=true, or leave the kinds as they are with --set crds.enabled=false" .name $whose) -}}
{{- end -}}
{{- end -}}

{{- define "kube-vrrp.checkExistingSecret" -}}
{{- with .Values.clusterKey.existingSecret -}}
{{- $where := printf "Secret %s/%s (clusterKey.existingSecret)" $.Release.Namespace . -}}
{{- $found := lookup "v1" "Secret" $.Release.Namespace . -}}
{{- if not $found -}}
{{- fail (printf "%s does not exist: `kubectl -n %s create secret generic %s --from-literal=cluster.1=hex:$(openssl rand -hex 32) --from-literal=cluster.active=1`" $where $.Release.Namespace .) -}}
{{- end -}}
{{- include "kube-vrrp.checkKeys" (dict "where" $where "data" (default dict $found.data)) -}}
{{- end -}}
{{- end -}}
