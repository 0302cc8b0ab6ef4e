//go:build tools

// Package programs pins helm4, so that the tests of the chart can build it from Go modules.
package programs

import _ "helm.sh/helm/v4/cmd/helm"
