// Package config holds the configuration files of swell-scaler and swell-metrics: types, defaults and validation.
package config

import "slices"

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
