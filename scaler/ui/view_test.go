package ui

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"swell/scaler/ledger"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func price(v float64) *float64 { return &v }

// fresh is a state as of noon.
func fresh() *State {
	return &State{At: noon.Add(-2 * time.Second), Tick: 7, Every: 10, Leader: "scaler-1", Mode: "Enforce", Clock: 1,
		Readings: Readings{Cluster: noon.Add(-4 * time.Second), AWS: noon.Add(-9 * time.Second), MaxAge: 60},
		Zones:    []Zone{{Zone: "a", Spot: 3, OnDemand: 1, Booting: 2}, {Zone: "c", Spot: 2}}, Cost: Cost{Hourly: price(3.1)},
		Groups: []Group{{Name: "spot-a", Zone: "a", Market: "spot", Max: 10, Desired: 3, Nodes: 3}},
		Balloons: []Balloon{{Namespace: "shop", Name: "web", Workload: "Deployment/web", Mode: "Enforce", Output: "Pods", Running: 20, Quantile: 0.99, Chunk: 2.5, Lead: 180,
			Zones: []BalloonZone{{"a", 3, 2}}, Why: "because", Forecast: []Point{{noon, 20, 22}, {noon.Add(time.Hour), 40, 55}, {noon.Add(2 * time.Hour), 30, 41}}}}}
}

func TestOldFiguresSaySo(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*State)
		want   []string
	}{
		"fresh":              {func(*State) {}, nil},
		"the loop stands":    {func(s *State) { s.At = noon.Add(-45 * time.Second) }, []string{"the last plan was made 45 s ago and the next is late"}},
		"AWS does not tell":  {func(s *State) { s.Readings.AWS = noon.Add(-3 * time.Minute) }, []string{"AWS was last read 3 min ago"}},
		"never read":         {func(s *State) { s.Readings.AWS = time.Time{} }, []string{"AWS was never read"}},
		"no group, no AWS":   {func(s *State) { s.Readings.AWS, s.Groups = time.Time{}, nil }, nil},
		"both":               {func(s *State) { s.At, s.Readings.Cluster = noon.Add(-time.Hour), noon.Add(-2*time.Hour) }, []string{"60 min ago", "Kubernetes was last read 2 h ago"}},
		"a pool alone":       {func(s *State) { s.Pools = []Pool{{Name: "general", ReadAt: noon.Add(-5 * time.Minute)}} }, []string{"the groups of pool general were last read 5 min ago"}},
		"a pool never read":  {func(s *State) { s.Pools = []Pool{{Name: "general", ReadAt: noon}, {Name: "lost"}} }, []string{"the groups of pool lost were never read"}},
		"no pool ever read":  {func(s *State) { s.Readings.AWS, s.Groups, s.Pools = time.Time{}, nil, []Pool{{Name: "lost"}} }, []string{"AWS was never read"}},
		"a slow clock is ok": {func(s *State) { s.At = noon.Add(-29 * time.Second) }, nil},
	} {
		s := fresh()
		c.change(s)
		got := NewView(noon, Shown{State: s, Leads: true}).Stale
		if (got == "") != (len(c.want) == 0) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		for _, w := range c.want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: %q, want %q in it", name, got, w)
			}
		}
	}
}

func TestWhatIsUnknownIsNotZero(t *testing.T) {
	s := fresh()
	s.Cost = Cost{Unpriced: 6}
	s.Balloons[0].Demand, s.Balloons[0].Forecast, s.Balloons[0].NoForecast = nil, nil, "too little history"
	r, err := render(noon, Shown{State: s, Leads: true})
	if err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string]string{"now": "unknown", "balloons": `<td data-of="demand">unknown</td>`, "groups": `<td data-of="an hour">unknown</td>`, "ahead": "No forecast: too little history."} {
		if !strings.Contains(r.parts[part], want) {
			t.Errorf("%s has no %q:\n%s", part, want, r.parts[part])
		}
	}
	if strings.Contains(r.parts["ahead"], "<svg") {
		t.Error("a plot is drawn of nothing")
	}
}

// Before the first plan, and on a replica that stands by, no part says that there is nothing.
func TestNothingIsSaidOfWhatIsNotKnown(t *testing.T) {
	for name, shown := range map[string]Shown{"waiting": {Leads: true, Replica: "scaler-1"}, "standing by": {Leader: "scaler-0", Replica: "scaler-1"}} {
		r, err := render(noon, shown)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"now", "ahead", "pending", "balloons", "groups", "limits"} {
			text := r.parts[part]
			if !strings.Contains(text, "Not known") || strings.Contains(text, ">0<") || strings.Contains(text, "no ") || strings.Contains(text, "Nothing") {
				t.Errorf("%s: %s says what nobody knows: %s", name, part, text)
			}
		}
	}
}

// What belongs to groups that were never read is not counted as nothing.
func TestGroupsThatWereNeverReadAreNotNothing(t *testing.T) {
	now := func(change func(*State)) string {
		s := fresh()
		change(s)
		r, err := render(noon, Shown{State: s, Leads: true})
		if err != nil {
			t.Fatal(err)
		}
		return r.parts["now"]
	}
	if text := now(func(s *State) { s.Pools = []Pool{{Name: "general", ReadAt: noon}, {Name: "lost"}} }); !strings.Contains(text, "<dd>6</dd>") || strings.Count(text, "without pool lost") != 3 {
		t.Errorf("with one of two pools: %s", text)
	}
	text := now(func(s *State) {
		s.Readings.AWS, s.Groups, s.Zones, s.Cost, s.Pools = time.Time{}, nil, []Zone{{Zone: "a", Pods: 3}}, Cost{Hourly: price(0)}, []Pool{{Name: "lost"}}
	})
	if strings.Count(text, "<dd>unknown</dd>") != 3 || strings.Contains(text, "0.00") || !strings.Contains(text, `data-of="spot">unknown<`) || strings.Contains(text, `data-of="booting">0<`) {
		t.Errorf("with none: %s", text)
	}
}

// Of pods that wait it is said how many have nothing on its way, which is what a person may have to look at.
func TestPendingPodsWithNothingForThemAreCounted(t *testing.T) {
	for _, c := range []struct {
		pending []Pending
		more    map[string]int
		n       int
		want    string
	}{
		{nil, nil, 0, "none waits"},
		{[]Pending{{Count: 3, For: "node a"}}, nil, 3, "room is on its way for all"},
		{[]Pending{{Count: 3, For: "node a"}, {Count: 2}}, nil, 5, "nothing is on its way for 2"},
		{[]Pending{{Count: 3, For: "node a"}, {Count: 2}}, map[string]int{"pending": 9}, 14, "nothing is on its way for 2 or more"},
		{[]Pending{{Count: 3, For: "node a"}}, map[string]int{"pending": 9}, 12, "of those listed room is on its way for all"},
	} {
		s := fresh()
		s.Pending, s.More, s.Pods.Pending = c.pending, c.more, c.n
		if got := NewView(noon, Shown{State: s, Leads: true}).ForPending; got != c.want {
			t.Errorf("%v: %q, want %q", c.pending, got, c.want)
		}
	}
}

// What comes from the cluster is text, whatever it looks like.
func TestNothingOfTheClusterIsMarkup(t *testing.T) {
	const evil = `<script>alert(1)</script>"><img src=x onerror=y>`
	s := fresh()
	s.Cluster, s.Leader = evil, evil
	s.Pools = []Pool{{Name: evil, Freeze: &Freeze{What: "All", Until: noon, Reason: evil}}}
	s.Pending = []Pending{{Pod: evil, Why: evil, For: evil}}
	s.Problems = []Problem{{evil, evil, evil}}
	s.Balloons[0].Why, s.Balloons[0].Namespace, s.Balloons[0].Workload = evil, evil, evil
	s.Groups[0].Why, s.Groups[0].Name = evil, evil
	r, err := render(noon, Shown{State: s, Leads: true})
	if err != nil {
		t.Fatal(err)
	}
	text, err := part("decision", Decision{ID: 1, Action: evil, Object: evil, What: evil, Phase: evil})
	if err != nil {
		t.Fatal(err)
	}
	r.parts["decision"] = text
	for name, text := range r.parts {
		if strings.Contains(text, "<script") || strings.Contains(text, "<img") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func TestTheBandIsWhereItsNumbersAre(t *testing.T) {
	b := drawBand(noon, fresh().Balloons[0])
	// now is a third of the way; 22 of 60 pods are 73.3 of 200 from the bottom, 55 are 183.3
	for _, want := range []string{`class="upper" points="300,126.7 600,16.7 900,63.3"`, `class="likely" points="300,133.3 600,66.7 900,100"`,
		`class="room" x1="300" y1="116.7" x2="900" y2="116.7"`, `class="lead" x1="315"`} {
		if !strings.Contains(string(b.SVG), want) {
			t.Errorf("there is no %s in\n%s", want, b.SVG)
		}
	}
	if want := "20 pods run, and there is room for 25. In two hours it is likely 30, and in 99 % of cases no more than 41; before that up to 55."; b.Says != want {
		t.Errorf("it says %q, want %q", b.Says, want)
	}
	if got := fmt.Sprint(b.Ticks); got != "[60 30 0]" {
		t.Errorf("the ticks are %s", got)
	}
}

// Where the past is not known the plot says so, instead of standing empty.
func TestAPastThatIsNotKnownIsMarked(t *testing.T) {
	balloon := fresh().Balloons[0]
	balloon.Past = []Past{{At: noon.Add(-15 * time.Minute), Running: 10}}
	if b := drawBand(noon, balloon); !b.From.Equal(noon.Add(-15*time.Minute)) || !strings.Contains(string(b.SVG), `class="before" x="0" y="0" width="225"`) {
		t.Errorf("from %s: %s", b.From, b.SVG)
	}
	balloon.Past[0].At = noon.Add(-59 * time.Minute)
	if b := drawBand(noon, balloon); !b.From.IsZero() || strings.Contains(string(b.SVG), "before") {
		t.Errorf("an hour of past: from %s: %s", b.From, b.SVG)
	}
}

// entries are a second apart.
func entries(n int) []ledger.Entry {
	var out []ledger.Entry
	for i := range n {
		at := noon.Add(time.Duration(i) * time.Second)
		out = append(out, ledger.Entry{At: at, Model: at, Phase: ledger.Done, Action: "launch", Object: fmt.Sprint("group-", i)})
	}
	return out
}

func TestDecisionsGoOnAfterTheLastThatWasSeen(t *testing.T) {
	var d decisions
	for _, e := range entries(KeptDecisions + 10) {
		d.add(e)
	}
	if d.add(ledger.Entry{At: noon, Action: "sample"}) {
		t.Error("a sample is shown")
	}
	id := func(seconds int) string { return fmt.Sprint(noon.Add(time.Duration(seconds) * time.Second).UnixNano()) }
	for name, c := range map[string]struct {
		after string
		n     int
		whole bool
	}{
		"the newest":            {id(KeptDecisions + 9), 0, false},
		"three later":           {id(KeptDecisions + 6), 3, false},
		"the oldest that is":    {id(10), KeptDecisions - 1, false},
		"one that is gone":      {id(3), KeptDecisions, true},
		"nothing":               {"", KeptDecisions, true},
		"of another's future":   {id(KeptDecisions + 100), KeptDecisions, true},
		"what was never an id":  {"x'; drop", KeptDecisions, true},
		"between two, unlisted": {fmt.Sprint(noon.Add(12*time.Second + time.Millisecond).UnixNano()), KeptDecisions - 3, false},
	} {
		list, whole := d.after(c.after)
		if len(list) != c.n || whole != c.whole {
			t.Errorf("%s: %d decisions, whole %v; want %d, %v", name, len(list), whole, c.n, c.whole)
		}
	}
	same := decisions{}
	for range 3 { // within one tick of the clock, or with a clock that went back
		same.add(ledger.Entry{At: noon, Action: "pop"})
	}
	if all := same.all(); all[0].ID >= all[1].ID || all[1].ID >= all[2].ID {
		t.Errorf("ids do not rise: %v", all)
	}
}

// A scaler that starts anew numbers the decisions of before as it did then.
func TestDecisionsOfBeforeKeepTheirNumbers(t *testing.T) {
	dir := t.TempDir()
	book, err := ledger.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var before decisions
	book.Watch(func(e ledger.Entry) { before.add(e) })
	for _, e := range entries(20) {
		if err := book.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := book.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, ledger.FileName)
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(`{"at":"2026-03-02T12:`); err != nil { // a crash
		t.Fatal(err)
	}
	file.Close()
	read, err := Newest(path)
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Replica: "scaler-1"}, read)
	if got, want := fmt.Sprint(s.decisions.all()), fmt.Sprint(before.all()); got != want {
		t.Errorf("read again they are\n%s\nwere\n%s", got, want)
	}
	if none, err := Newest(filepath.Join(dir, "missing")); err != nil || none != nil {
		t.Errorf("no ledger yet: %v %v", none, err)
	}
}
