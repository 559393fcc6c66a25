// Package sim runs swell's own observe, plan and act code against an emulated AWS and an API server, in virtual time and
// with faults that a seed chooses. The same seed gives the same run.
package sim
