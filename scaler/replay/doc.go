// Package replay plays a load through swell's own forecaster and balloon arithmetic, and through models of its peers, on a
// simulated cluster. docs/replay.md describes what is modelled.
//
// Time goes in scans. A policy is given the desired replicas of each scan, late, and says how much capacity it wants; it
// has no other input, so none can look ahead but clairvoyant. The cluster follows: a node that is wanted is paid for from
// then on and serves after its lead, and goes when it was not wanted for long enough.
package replay
