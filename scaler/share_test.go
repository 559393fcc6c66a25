package scaler

import (
	"math"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/scaler/history"
	"swell/scaler/history/backfill"
	"swell/scaler/observe"
)

// sharing is a Balloon of a Deployment with an HPA, at a share.
func sharing(share string) (*v1alpha1.Balloon, observe.World) {
	b := &v1alpha1.Balloon{}
	b.Namespace, b.Name = "shop", "web"
	b.Spec.Share = v1alpha1.Share(share)
	b.Spec.ScaleTargetRef = v1alpha1.ScaleTarget{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}
	h := autoscalingv2.HorizontalPodAutoscaler{}
	h.Namespace, h.Name = "shop", "web"
	h.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}
	return b, observe.World{HPAs: []autoscalingv2.HorizontalPodAutoscaler{h}}
}

// What was recorded of this cluster alone is the demand of all at a share of 100 % only; below that it is not taken, and the
// words name the mend. What is said to be of all clusters is taken at any.
func TestAPastOfOneClusterIsNotTakenForThatOfAll(t *testing.T) {
	p, err := backfill.NewPrometheus(t.Context(), config.Prometheus{URL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Prometheus: p}
	o.Config.History.Prometheus = &config.Prometheus{Query: config.DefaultHistoryQuery}
	query := func(b *v1alpha1.Balloon) { b.Spec.Demand.From, b.Spec.Demand.Query = v1alpha1.DemandFromQuery, "up" }
	for name, tc := range map[string]struct {
		share, configured string
		change            func(*v1alpha1.Balloon)
		refused           bool
	}{
		"all":                        {share: "100%"},
		"no share":                   {share: ""},
		"half":                       {share: "50%", refused: true},
		"none":                       {share: "0%", refused: true},
		"the configuration's query":  {share: "50%", configured: "sum(pods)"},
		"a query of one":             {share: "50%", change: query, refused: true},
		"a query of one that is all": {share: "100%", change: query},
		"a query of all":             {share: "50%", change: func(b *v1alpha1.Balloon) { query(b); b.Spec.Demand.AllClusters = true }},
		"the Balloon's own past": {share: "50%", change: func(b *v1alpha1.Balloon) {
			b.Spec.Demand.History = &v1alpha1.DemandHistory{Prometheus: "sum(pods)"}
		}},
	} {
		o.Config.History.Prometheus.Query = config.DefaultHistoryQuery
		if tc.configured != "" {
			o.Config.History.Prometheus.Query = tc.configured
		}
		l := New(nil, nil, nil, newBook(t), o)
		b, world := sharing(tc.share)
		if tc.change != nil {
			tc.change(b)
		}
		source, _, _, err := l.pastQuery(world, b)
		switch {
		case !tc.refused && (err != nil || source == nil):
			t.Errorf("%s: %v, %v: want it asked", name, source, err)
		case tc.refused && (err == nil || !strings.Contains(err.Error(), tc.share) || !strings.Contains(err.Error(), "give spec.demand.history")):
			t.Errorf("%s: %v: want the share and the mend named", name, err)
		}
	}
}

// A past that is there already is no problem when the share changes.
func TestAShareThatChangesLeavesThePastThatIsThere(t *testing.T) {
	p, err := backfill.NewPrometheus(t.Context(), config.Prometheus{URL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Prometheus: p}
	o.Config.History.Prometheus = &config.Prometheus{Query: config.DefaultHistoryQuery}
	l := New(nil, nil, nil, newBook(t), o)
	for backfilled, want := range map[string]string{"0123456789abcdef": "", "": "spec.share is 50%"} {
		b, world := sharing("50%")
		w := &workload{load: attempt{done: true}, backfilled: backfilled}
		l.fillPast(t.Context(), time.Now(), world, b, w)
		if (want == "") != (w.fill.problem == "") || !strings.Contains(w.fill.problem, want) {
			t.Errorf("filled by %q: the problem is %q: want %q", backfilled, w.fill.problem, want)
		}
	}
}

// A share that is no number makes the demand unknown: it is not 100 %.
func TestAShareThatCannotBeReadIsUnknownDemand(t *testing.T) {
	l := New(nil, nil, nil, newBook(t), Options{})
	for _, share := range []string{"half", "NaN%", "150%", "-1%"} {
		b, world := sharing(share)
		r := l.reading(t.Context(), time.Now(), world, b, &workload{})
		if r.Demand.Class == history.Known || !math.IsNaN(r.Demand.Pods) || !strings.Contains(r.Demand.Why, "spec.share") {
			t.Errorf("%s: %g pods (%s): want unknown, with the field named", share, r.Demand.Pods, r.Demand.Why)
		}
	}
	for share, want := range map[string]float64{"": 1, "100%": 1, "25%": 0.25, "0%": 0} {
		b, _ := sharing(share)
		if got, err := clusterShare(b); err != nil || got != want {
			t.Errorf("%q is %g, %v: want %g", share, got, err, want)
		}
	}
}
