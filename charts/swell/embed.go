// Package charts holds the custom resource definitions that the chart installs.
package charts

import "embed"

// CRDs are the definitions of swell's kinds, one YAML file each under crds/.
//
//go:embed crds/*.yaml
var CRDs embed.FS
