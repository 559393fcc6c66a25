package ledger

import "time"

// MostPods is how many pods an entry names at most; Count has them all.
const MostPods = 50

// PodWait is a pod that had waited for a place and has one now; model time.
type PodWait struct {
	Pod string `json:"pod"` // namespace/name
	// Since is when it was made, At when it was bound.
	Since time.Time `json:"since"`
	At    time.Time `json:"at"`
}
