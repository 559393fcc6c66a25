package scaler_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"

	"swell/bench/testbed/aws"
	"swell/scaler/ledger"
)

// reads of AWS, and what swell does with the queue of its own that notices come by.
var reads = regexp.MustCompile(`^(Describe|Get|List)|^(ReceiveMessage|DeleteMessageBatch)$`)

const alwaysOpen = `
apiVersion: capacity.swell/v1alpha1
kind: DiurnalSchedule
metadata: {name: always, namespace: shop}
spec:
  timeZone: UTC
  windows: [{name: all-day, days: [Mon-Sun], from: "00:00", to: "24:00", minHeadroom: "20"}]
`

// A pool that observes says what it would launch and return and changes nothing, through pods that wait, a schedule, notices, a node
// that goes and slack: no call changes anything in AWS, and beside the status nothing is written to what others own.
func TestAPoolThatObservesChangesNothingAndSaysWhatItWould(t *testing.T) {
	f := fleet(2)
	w := startAfter(t, f, 60, fortnight(func(time.Time) float64 { return 60 }), `{"mode": "Observe", "schedules": ["always"]}`)
	w.apply(alwaysOpen)
	w.settled(0)
	w.apply(fmt.Sprintf(pool, "general") + "  mode: Observe\n")
	w.until("the pool observes", func() (bool, string) {
		c := w.poolIs("general", "Enforcing")
		return strings.HasPrefix(c, "False"), c
	})
	w.until("the schedule is sized for", func() (bool, string) {
		n, _ := w.wanted("web")
		return n >= 8, fmt.Sprintf("%d balloons: %s", n, w.balloon("web").Status.Why)
	})
	began := time.Now()
	would := func(action string) (n int) {
		entries, _, err := ledger.Read(w.LedgerDir())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Action == action && e.At.After(began) {
				n += e.Count
			}
		}
		return n
	}
	w.scale(120) // 15 a node: two more than there are
	w.until("it would launch", func() (bool, string) {
		n := would("would-launch")
		return n >= 2, fmt.Sprintf("it would launch %d", n)
	})
	w.order("rebalance", aws.Order{Instances: []string{w.instances()[0].ID}})
	w.interrupt() // its group replaces it by itself
	w.until("the notices were read", func() (bool, string) { return w.ended("DeleteMessageBatch") > 0, "they were not" })
	w.scale(15)
	w.until("it would return nodes", func() (bool, string) {
		n := would("would-return")
		return n >= 2, fmt.Sprintf("it would return %d", n)
	})
	for _, c := range w.calls() {
		if c.At.After(began) && !reads.MatchString(c.Action) {
			t.Errorf("%s of %s was called at %s", c.Action, c.Group, c.At)
		}
	}
	w.statusOnly(began)
	if n := len(w.pods(balloonSelector)); n > 0 {
		t.Errorf("there are %d balloons", n)
	}
	w.ownsOnly()
}

// ownsOnly looks through every object of the cluster for fields that swell-scaler holds: status of its kinds, Events, and its own
// ConfigMaps and Lease.
func (w world) ownsOnly() {
	w.t.Helper()
	client, err := metadata.NewForConfig(w.Config())
	if err != nil {
		w.t.Fatal(err)
	}
	kinds, err := w.Kube.Discovery().ServerPreferredResources()
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		w.t.Fatal(err)
	}
	own := 0
	for _, list := range kinds {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, r := range list.APIResources {
			if !strings.Contains(strings.Join(r.Verbs, " "), "list") || r.Name == "events" {
				continue
			}
			objects, err := client.Resource(gv.WithResource(r.Name)).List(w.t.Context(), metav1.ListOptions{})
			if err != nil {
				w.t.Fatalf("listing %s: %v", r.Name, err)
			}
			for _, o := range objects.Items {
				for _, m := range o.ManagedFields {
					switch {
					case m.Manager != "swell-scaler":
					case m.Subresource == "status" && gv.Group == "capacity.swell", o.Namespace == "swell-system" && (r.Name == "configmaps" || r.Name == "leases"):
						own++
					default:
						w.t.Errorf("swell-scaler holds %s of %s %s/%s", m.FieldsV1, r.Name, o.Namespace, o.Name)
					}
				}
			}
		}
	}
	if own < 4 {
		w.t.Errorf("swell-scaler holds %d objects: want its status, ConfigMaps and Lease among them, or nothing was looked at", own)
	}
}
