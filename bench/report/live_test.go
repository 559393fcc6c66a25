package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"swell/bench/measure"
	"swell/scaler/report/digits"
)

func TestLiveTable(t *testing.T) {
	row := Row{At: time.Date(1998, 6, 24, 16, 41, 30, 0, time.UTC), Rate: 4321.4, Lag: 12345, LagSeconds: 3.21, WebDemand: 61.25, WebReady: 118, WebWanted: 123,
		OrdersReady: 60, OrdersWanted: 60, Pending: 5, Balloons: 8, Cost: 3.456, Note: "kafka killed",
		Zones: []ZoneNodes{{"ap-northeast-1a", 5, 2}, {"ap-northeast-1c", 4, 2}, {"ap-northeast-1d", 12, 2}}}
	got := LiveHeader([]string{"ap-northeast-1a", "ap-northeast-1c", "ap-northeast-1d"}) + "\n" + FormatLive(row)
	want := strings.TrimPrefix(`
time       msgs/s       lag  age s     web       web    orders  pend  ball      1a     1c     1d      cost
                                    demand     ready     ready               sp+od  sp+od  sp+od    so far
16:41:30    4,321    12,345   3.21    61.2   118/123     60/60     5     8     5+2    4+2   12+2     $3.46  kafka killed`, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestTableOfRuns(t *testing.T) {
	s, _ := sample()
	var out bytes.Buffer
	if err := WriteTable(&out, s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"pod wait p99            22.4 s     131 s      × 0.17",
		"reaction p50            210 ms     –          –",
		"cost                    $21.37     $19.80     × 1.08",
		"messages lost           0          –          –",
		"pods unschedulable      37         0          –",
		"unschedulable wait p99  88 s       –          –",
		"pods unanswered         5          0          –",
		"cost of the warm-up     $0.88      –          –",
		"Seconds and hours are the trace's, 10 to each of the machine's; milliseconds are the machine's.",
		"Requests a second to the API server: controller-manager 200, scheduler 100.",
		"swell: kafka killed at 16:50:00, down 20 s, worked again 3.20 s after its start",
		"swell: aws killed at 17:05:00, down 20 s, did not recover",
	} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("no line %q in\n%s", want, out.String())
		}
	}
	s.Runs = s.Runs[:1]
	out.Reset()
	if err := WriteTable(&out, s); err != nil || strings.Contains(out.String(), "ratio") {
		t.Errorf("one run has a ratio: %v\n%s", err, out.String())
	}
}

func TestRatioOfUnknown(t *testing.T) {
	zero := 0.0
	for _, pair := range [][2]*float64{{nil, known(1)}, {known(1), nil}, {known(1), &zero}} {
		if got := ratio(pair[0], pair[1]); got != digits.Unknown {
			t.Errorf("%v is written %q", pair, got)
		}
	}
	if tiles(nil) != nil || len(figures([]measure.Run{{}})) == 0 {
		t.Error("figures of nothing")
	}
}
