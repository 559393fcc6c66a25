//go:build race

package wire

// The race detector's build takes memory twice where an array is made.
func most(counted int64) int64 { return 3*counted + 4<<10 }
