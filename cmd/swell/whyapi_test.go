package main

import (
	"net/http"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// What is forbidden is granted by the role that swell has for it, and by no role where it has none.
func TestAForbiddenReadNamesTheRoleThatGrantsIt(t *testing.T) {
	for what, want := range map[schema.GroupResource]string{
		{Group: "capacity.swell", Resource: "queueconsumers"}:                   "swell-metrics:view",
		{Group: "external.metrics.k8s.io", Resource: "kafka_consumergroup_lag"}: "swell-metrics:view",
		{Group: "capacity.swell", Resource: "capacitypools"}:                    "swell-scaler:view",
		{Group: "capacity.swell", Resource: "balloons"}:                         "swell-scaler:view",
		{Group: "autoscaling", Resource: "horizontalpodautoscalers"}:            "",
	} {
		got := roleFor(apierrors.NewForbidden(what, "web", nil).ErrStatus)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	if got := roleFor(metav1.Status{Code: http.StatusNotFound, Details: &metav1.StatusDetails{Group: "capacity.swell", Kind: "balloons"}}); got != "" {
		t.Errorf("what is not found is not forbidden: %q", got)
	}
}
