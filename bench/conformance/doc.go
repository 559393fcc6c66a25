// Package conformance holds one table of cases that compares what swell's poller says of consumer groups with an oracle of each
// case, with a count of the messages themselves, and with what Kafka's own tools report, on kfake and on a real Apache Kafka broker.
package conformance
