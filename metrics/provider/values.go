package provider

import (
	"errors"
	"fmt"
	"math"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"swell/api/v1alpha1"
	"swell/metrics/consumers"
	"swell/metrics/lag"
)

// sumValue is a metric of a group's lag, or why it is not known.
func sumValue(metric string, s *lag.Sum) (resource.Quantity, string) {
	switch metric {
	case LateMessages:
		return *resource.NewQuantity(s.Late, resource.DecimalSI), s.LateProblem
	case LagSeconds:
		return milli(s.Seconds, s.SecondsProblem)
	}
	return *resource.NewQuantity(s.Lag, resource.DecimalSI), ""
}

// resultValue is a metric of a QueueConsumer, or why it is not known.
func resultValue(metric string, r *consumers.Result) (resource.Quantity, string) {
	if metric == DesiredReplicas {
		return *resource.NewQuantity(int64(r.Replicas), resource.DecimalSI), r.Problem
	}
	if r.LagProblem != "" {
		return resource.Quantity{}, r.LagProblem
	}
	switch metric {
	case ProduceRate:
		return milli(r.Produce, ratesProblem(r))
	case ConsumeRate:
		return milli(r.Consume, ratesProblem(r))
	}
	return sumValue(metric, &r.Sum)
}

func ratesProblem(r *consumers.Result) string {
	switch {
	case r.RatesKnown:
		return ""
	case r.Unknown != "":
		return r.Unknown
	}
	return "its rates are not known yet"
}

// milli rounds up, so that what is little is not served as nothing.
func milli(f float64, problem string) (resource.Quantity, string) {
	switch {
	case problem != "":
		return resource.Quantity{}, problem
	case !(f >= 0 && f < math.MaxInt64/1000): // not a number is neither
		return resource.Quantity{}, fmt.Sprintf("%g is no amount that can be served", f)
	}
	return *resource.NewMilliQuantity(int64(math.Ceil(f*1000)), resource.DecimalSI), ""
}

// lateCount is what a number of late messages means.
func lateCount(s *lag.Sum) string {
	if s.LateExact {
		return string(v1alpha1.LateExact)
	}
	return string(v1alpha1.LateAtLeast)
}

// unknownResult is why a metric of a QueueConsumer is not served.
func unknownResult(metric string, name types.NamespacedName, reason, problem string) error {
	err := fmt.Errorf("QueueConsumer %s: %s", name, problem)
	if reason == consumers.ReasonForbidden {
		return forbidden(metric, err)
	}
	return failure(metric, err)
}

// failure is an error as an API status. All that is not the asker's own doing is 503, so that the HPA holds: it must never read an
// unknown as a number.
func failure(metric string, err error) error {
	switch {
	case errors.Is(err, consumers.ErrForbidden):
		return forbidden(metric, err)
	case errors.Is(err, consumers.ErrUnknownCluster):
		return badRequest(metric, err)
	}
	return apierrors.NewServiceUnavailable(fmt.Sprintf("serve %s: %v", metric, err))
}

// forbidden says what no namespace rule allows.
func forbidden(metric string, err error) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden,
		Message: fmt.Sprintf("serve %s: %v", metric, err)}}
}

func badRequest(metric string, err error) error {
	return apierrors.NewBadRequest(fmt.Sprintf("serve %s: %v", metric, err))
}
