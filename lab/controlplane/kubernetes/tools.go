//go:build tools

// Package controlplane pins the programs of a Kubernetes control plane, so that
// the lab can build them from Go modules.
package controlplane

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
