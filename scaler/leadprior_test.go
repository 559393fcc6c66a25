package scaler

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/nodegroups/learn"
	"swell/scaler/learned"
)

// Of a boot nothing else is known but its configured 95th percentile: the median is in the proportion of 50 to 120 to it, and an
// instance that never joins is given up after minutes.
func TestTheMedianFollowsTheConfiguredBoot(t *testing.T) {
	for given, median := range map[time.Duration]time.Duration{
		5 * time.Second: 2083 * time.Millisecond, 30 * time.Second: 12500 * time.Millisecond, time.Minute: 25 * time.Second, 90 * time.Second: 37500 * time.Millisecond,
		2 * time.Minute: 50 * time.Second, 4 * time.Minute: 100 * time.Second, time.Hour: 25 * time.Minute,
	} {
		known, err := learned.New(priorOf(given), config.Clock{}.At)
		if err != nil {
			t.Errorf("%v: %v", given, err)
			continue
		}
		l, err := newLeads(config.Lead{PodStart: metav1.Duration{Duration: given}}, config.Clock{}, known)
		if err != nil {
			t.Errorf("%v: %v", given, err)
			continue
		}
		var key learn.BootKey
		for name, got := range map[string]time.Duration{"boot": known.Boots.Quantile(key, learn.Ready, 0.5), "pod start": l.pods.Quantile("web", 0.5)} {
			if (got - median).Abs() > 10*time.Millisecond {
				t.Errorf("with %v the median %s is %v, want %v", given, name, got, median)
			}
		}
		if given == 2*time.Minute && known.Boots.JoinWithin(key).Round(time.Minute) != 6*time.Minute {
			t.Errorf("an instance is waited for for %v, want about 6m: twice a 99th percentile of 172 s", known.Boots.JoinWithin(key))
		}
	}
}
