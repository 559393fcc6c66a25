// Package measure turns the API server's audit log and the AWS emulator's logs into the figures of a run.
package measure
