package provider

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"
)

func TestLateAfterIsOfLateMessagesAlone(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"cluster=main,group=g":                    30 * time.Second,
		"cluster=main,group=g,late_after=1m30s":   90 * time.Second,
		"cluster=main,group=g,late_after in (5s)": 5 * time.Second,
	} {
		a, err := parseSelector(LateMessages, selector(t, s))
		if err != nil || a.question.LateAfter != want {
			t.Errorf("%s: %s, %v; want %s", s, a.question.LateAfter, err, want)
		}
	}
	for s, want := range map[string]string{
		"cluster=main,group=g,late_after=soon": "above zero",
		"cluster=main,group=g,late_after=0s":   "above zero",
		"consumer=c,late_after=5s":             "give it alone",
	} {
		if _, err := parseSelector(LateMessages, selector(t, s)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", s, err, want)
		}
	}
}

// FuzzSelector holds that what is accepted names a consumer or a group, and means the same when it is written out again.
func FuzzSelector(f *testing.F) {
	for _, s := range []string{"", "consumer=orders", "cluster=main,group=orders", "cluster==main,group in (orders),topic in (b,a,b)", "cluster=main,group=g,late_after=30s",
		"cluster=main,group notin (a)", "!cluster", "group>5", "cluster=main,group=g,topic in (,a)", "consumer=a,consumer=b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := labels.Parse(text)
		if err != nil {
			return // what the API server refuses never comes here
		}
		for _, metric := range own {
			a, err := parseSelector(metric, s)
			if err != nil {
				if !strings.Contains(err.Error(), "give") && !strings.Contains(err.Error(), "leave it out") {
					t.Errorf("%s %q: %v: no mend", metric, text, err)
				}
				continue
			}
			q := a.question
			if (a.consumer != "") == (q.Cluster != "" || q.Group != "") || a.consumer == "" && (q.Cluster == "" || q.Group == "") {
				t.Fatalf("%s %q names %+v", metric, text, a)
			}
			if (q.LateAfter > 0) != (metric == LateMessages && a.consumer == "") || q.Ages != (metric == LagSeconds && a.consumer == "") {
				t.Fatalf("%s %q asks %+v", metric, text, q)
			}
			topics := strings.Split(q.Topics, ",")
			if !slices.IsSorted(topics) || len(slices.Compact(slices.Clone(topics))) != len(topics) || len(topics) > 1 && slices.Contains(topics, "") {
				t.Fatalf("%s %q asks for topics %q", metric, text, topics)
			}
			var again []string
			for k, v := range a.labels {
				again = append(again, k+" in ("+v+")")
			}
			parsed, err := labels.Parse(strings.Join(again, ","))
			if err != nil {
				t.Fatalf("%q is written out as %q: %v", text, again, err)
			}
			if b, err := parseSelector(metric, parsed); err != nil || b.question != q || b.consumer != a.consumer {
				t.Fatalf("%q is %+v, written out as %q it is %+v, %v", text, a, again, b, err)
			}
		}
	})
}
