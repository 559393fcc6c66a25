// Package config holds the configuration files of swell-scaler and swell-metrics: types, defaults and validation.
package config
