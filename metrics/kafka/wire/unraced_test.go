//go:build !race

package wire

// most is how much may be taken where so much was counted: sizes are rounded up.
func most(counted int64) int64 { return counted*5/4 + 1<<10 }
