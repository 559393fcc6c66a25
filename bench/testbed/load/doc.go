// Package load is the world outside the cluster: the producers that follow a trace, the consumers that
// the ready pods stand for, the web demand, and the resource metrics that its pods would report.
package load
