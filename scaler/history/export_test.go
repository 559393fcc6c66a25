package history

import "unsafe"

// StateBytes is what a Workload takes beside its forecaster and what is not saved yet.
func StateBytes() uintptr { return unsafe.Sizeof(Workload{}) }
