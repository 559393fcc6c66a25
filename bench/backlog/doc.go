// Package backlog holds the tests of the whole way from a Kafka backlog to replicas: a real API server with its HPA
// controller, swell-metrics as a program, Kafka, and consumers that read as fast as their ready pods can.
package backlog
