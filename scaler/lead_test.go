package scaler_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"swell/api/v1alpha1"
	"swell/bench/testbed/aws"
)

// Nine instances boot in about ten seconds where the configuration supposes 120 at most: the lead time that balloons are
// sized by comes down towards what was seen, and the HPA's delay of 30 seconds and a boot stay in it. Pods start at once here, so
// that what their start adds falls as they are seen.
func TestTheLeadTimeFollowsWhatBootsTook(t *testing.T) {
	f := fleet(3)
	f.Boot = map[string]aws.Boot{}
	for _, g := range f.Groups {
		f.Boot[g.Zone] = aws.Boot{P50: 10 * time.Second, P95: 11 * time.Second}
	}
	w := start(t, f, 15, 0, 30)
	const supposed = 120*time.Second + 30*time.Second + 20*time.Second
	w.until("the lead time comes down", func() (bool, string) {
		lead, why := w.leadTime("web")
		return lead >= 40*time.Second && lead < supposed-20*time.Second, fmt.Sprintf("%v%s", lead, why)
	})
}

// leadTime is what a Balloon's status says, zero with the reason where it says nothing.
func (w world) leadTime(name string) (time.Duration, string) {
	w.t.Helper()
	raw, err := w.Kube.Discovery().RESTClient().Get().AbsPath("/apis/capacity.swell/v1alpha1/namespaces/shop/balloons/" + name).DoRaw(w.t.Context())
	if err != nil {
		return 0, err.Error()
	}
	var b v1alpha1.Balloon
	if err := json.Unmarshal(raw, &b); err != nil {
		return 0, err.Error()
	}
	if b.Status.LeadTime == nil {
		return 0, ", no status yet"
	}
	return b.Status.LeadTime.Duration, ""
}
