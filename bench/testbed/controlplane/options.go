// Package controlplane boots a real Kubernetes control plane (etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler) with kwok in place of kubelets, as processes on this machine.
package controlplane

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Options shape one control plane. Zero fields take their defaults.
type Options struct {
	// Binary is the multi-call binary. Default: $SWELL_TESTBED, or bin/testbed of the module that the
	// working directory is in.
	Binary string
	// Dir is where data, keys and logs go; it must be empty or absent. Default: a new temporary folder.
	Dir string
	// KeepDir keeps the folder after Stop. A folder that Dir names is never removed.
	KeepDir bool
	// ControllerQPS and ControllerBurst limit the controller-manager's requests, a second, each controller
	// on its own. Default: 200 and twice ControllerQPS; a controller-manager left alone has 20 and 30.
	ControllerQPS   int
	ControllerBurst int
	// SchedulerQPS and SchedulerBurst limit the scheduler's requests, a second. Default: the scheduler's own, 50 and 100.
	SchedulerQPS   int
	SchedulerBurst int
	// SchedulerMaxBackoff is the longest that the scheduler leaves a pod that it could not place alone, in machine time and whole
	// seconds, at least 1 s. Default: the scheduler's own, 10 s.
	SchedulerMaxBackoff time.Duration
	// HPASyncPeriod and the three below are the controller-manager's --horizontal-pod-autoscaler-… durations, in
	// machine time: divide them by the speed of a compressed run. Default: the controller-manager's own,
	// 15 s, 5 min, 5 min and 30 s.
	HPASyncPeriod              time.Duration
	HPADownscaleStabilization  time.Duration
	HPACPUInitializationPeriod time.Duration
	HPAInitialReadinessDelay   time.Duration
	// PodStart is how long a bound pod takes to be Ready, in machine time. Default: at once. A pod's annotation
	// PodStartAnnotation overrides it. A change of the pod in between starts the wait again.
	PodStart time.Duration
	// Log receives one line an event of the boot. Default: nothing.
	Log io.Writer
}

// PodStartAnnotation on a pod is its own start-up time, as a Go duration ("1.5s"), in place of Options.PodStart.
const PodStartAnnotation = "testbed.swell/pod-start"

// Validate reports Options that cannot be used.
func (o Options) Validate() error {
	var errs []error
	for _, f := range []struct {
		name  string
		value int
	}{{"ControllerQPS", o.ControllerQPS}, {"ControllerBurst", o.ControllerBurst}, {"SchedulerQPS", o.SchedulerQPS}, {"SchedulerBurst", o.SchedulerBurst}} {
		if f.value < 0 {
			errs = append(errs, fmt.Errorf("controlplane.Options.%s is %d: give requests a second above 0, or leave it out", f.name, f.value))
		}
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"HPASyncPeriod", o.HPASyncPeriod}, {"HPADownscaleStabilization", o.HPADownscaleStabilization},
		{"HPACPUInitializationPeriod", o.HPACPUInitializationPeriod}, {"HPAInitialReadinessDelay", o.HPAInitialReadinessDelay}, {"PodStart", o.PodStart},
	} {
		if f.value < 0 {
			errs = append(errs, fmt.Errorf("controlplane.Options.%s is %s: give a duration above 0, or leave it out", f.name, f.value))
		}
	}
	if o.SchedulerMaxBackoff < 0 || o.SchedulerMaxBackoff%time.Second != 0 {
		errs = append(errs, fmt.Errorf("controlplane.Options.SchedulerMaxBackoff is %s: give whole seconds, or leave it out", o.SchedulerMaxBackoff))
	}
	return errors.Join(errs...)
}

func (o Options) withDefaults() Options {
	if o.SchedulerQPS == 0 {
		o.SchedulerQPS = 50
	}
	if o.SchedulerBurst == 0 {
		o.SchedulerBurst = 2 * o.SchedulerQPS
	}
	if o.SchedulerMaxBackoff == 0 {
		o.SchedulerMaxBackoff = 10 * time.Second
	}
	if o.ControllerQPS == 0 {
		o.ControllerQPS = 200
	}
	if o.ControllerBurst == 0 {
		o.ControllerBurst = 2 * o.ControllerQPS
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	return o
}
