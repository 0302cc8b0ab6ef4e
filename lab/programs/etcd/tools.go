//go:build tools

// Package controlplane pins the etcd server, so that the lab can build it from Go modules.
package controlplane

import _ "go.etcd.io/etcd/server/v3/etcdmain"
