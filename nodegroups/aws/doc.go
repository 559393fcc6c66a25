// Package aws is the only place that talks to AWS: it reads Auto Scaling groups, launches and returns their instances, and
// receives the notices of those about to be lost.
package aws
