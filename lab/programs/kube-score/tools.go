//go:build tools

// Package programs pins kube-score, so that the tests of the chart can build it from Go modules.
package programs

import _ "github.com/zegl/kube-score/cmd/kube-score"
