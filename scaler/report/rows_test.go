package report_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"swell/scaler/ledger"
	"swell/scaler/report"
)

func pods(namespace, workload, pool, zone, market string, n int) ledger.WorkloadUse {
	return ledger.WorkloadUse{Namespace: namespace, Workload: workload, Pool: pool, Zone: zone, Market: market, Pods: n, Asked: ledger.Resources{Cores: float64(n), Memory: 4 * float64(n)}}
}

// rowOf is the one row that is asked for.
func rowOf(t *testing.T, rows []report.Row, is func(report.Row) bool) report.Row {
	t.Helper()
	i := slices.IndexFunc(rows, is)
	if i < 0 {
		t.Fatalf("no such row in %+v", rows)
	}
	return rows[i]
}

func workload(name string) func(report.Row) bool {
	return func(r report.Row) bool { return r.Workload == name }
}

// What nodes of no pool cost is in no ledger: who runs on them alone has no known cost, who runs there too has at least the rest.
func TestWhoRunsOnNodesOfNoPoolHasNoKnownCost(t *testing.T) {
	entries := []ledger.Entry{instance("i-1", "a", "spot", 0, nil, known(1.0))}
	for m := 0.0; m < 60; m += 5 {
		entries = append(entries, sampleAt(m, []ledger.GroupUse{use("a", "spot", 1, 0, 2, 0)},
			pods("shop", "Deployment/web", "general", "a", "spot", 1), pods("shop", "Deployment/both", "general", "a", "spot", 1),
			pods("shop", "Deployment/both", "", "a", "", 3), pods("kube-system", "Deployment/dns", "", "a", "", 2), pods("kube-system", "Pod/lone", "", "", "", 1)))
	}
	r := made(t, report.Options{}, append(entries, end(60))...)
	for name, want := range map[string]report.Cost{
		"Deployment/web":  {},
		"Deployment/both": {LowerBound: true, UnpricedPodHours: 3},
		"Deployment/dns":  {LowerBound: true, UnpricedPodHours: 2},
		"Pod/lone":        {LowerBound: true, UnpricedPodHours: 1},
	} {
		c := rowOf(t, r.Workloads, workload(name)).Cost
		if c.LowerBound != want.LowerBound || math.Abs(c.UnpricedPodHours-want.UnpricedPodHours) > 1e-9 || (c.Total == nil) != (name == "Deployment/dns" || name == "Pod/lone") {
			t.Errorf("%s: %+v, total %v", name, c, c.Total)
		}
		if c.Total != nil {
			wantMoney(t, name, c.Total, 0.1)
		}
	}
	system := rowOf(t, r.Namespaces, func(r report.Row) bool { return r.Namespace == "kube-system" })
	shop := rowOf(t, r.Namespaces, func(r report.Row) bool { return r.Namespace == "shop" })
	if system.Cost.Total != nil || shop.Cost.Total == nil || !shop.Cost.LowerBound {
		t.Errorf("namespace kube-system costs %v, shop %+v", system.Cost.Total, shop.Cost)
	}
	if none := rowOf(t, r.Pools, func(r report.Row) bool { return r.Pool == "" }); none.Cost.Total != nil || none.Hours.Pods != 5 {
		t.Errorf("the nodes of no pool cost %v and have %g pod-hours", none.Cost.Total, none.Hours.Pods)
	}
	// the pools' own total is all that they cost
	wantMoney(t, "the total", r.Total.Cost.Total, 1)
	if r.Total.Cost.LowerBound || r.Total.Cost.UnpricedPodHours != 6 {
		t.Errorf("the total is %+v", r.Total.Cost)
	}
}

// Balloons on nodes of no pool hold room of unknown cost.
func TestHeadroomOnNodesOfNoPoolHasNoKnownCost(t *testing.T) {
	held := ledger.WorkloadUse{Namespace: "shop", Workload: "Deployment/web", Zone: "a", Held: ledger.Resources{Cores: 2, Memory: 4}}
	r := made(t, report.Options{}, instance("i-1", "b", "spot", 0, nil, known(1.0)), sampleAt(0, []ledger.GroupUse{use("b", "spot", 1, 0, 2, 0)}, held), end(5))
	if c := rowOf(t, r.Workloads, workload("Deployment/web")).Cost; c.Total != nil || !c.LowerBound {
		t.Errorf("costs %v, lower bound %t", c.Total, c.LowerBound)
	}
}

// Nodes that samples show and that no recorded instance can be were paid by somebody: their hours have no known price.
func TestNodesWithoutAnInstanceHaveNoKnownPrice(t *testing.T) {
	entries := []ledger.Entry{instance("i-1", "a", "spot", 0, nil, known(1.0))}
	for m := 0.0; m < 60; m += 5 {
		entries = append(entries, sampleAt(m, []ledger.GroupUse{use("a", "spot", 3, 0, 6, 0), use("b", "spot", 1, 0, 1, 0)},
			pods("shop", "Deployment/web", "general", "a", "spot", 6), pods("shop", "Deployment/dark", "general", "b", "spot", 1)))
	}
	r := made(t, report.Options{}, append(entries, end(60))...)
	wantMoney(t, "what is known", r.Total.Cost.Total, 1)
	if !r.Total.Cost.LowerBound || math.Abs(r.Total.Cost.UnpricedNodeHours-3) > 1e-9 || math.Abs(r.Total.Hours.Node-4) > 1e-9 {
		t.Errorf("total %+v of %g node-hours", r.Total.Cost, r.Total.Hours.Node)
	}
	if c := rowOf(t, r.Zones, func(r report.Row) bool { return r.Zone == "b" }).Cost; c.Total != nil {
		t.Errorf("zone b costs %s", c.Total)
	}
	if c := rowOf(t, r.Workloads, workload("Deployment/dark")).Cost; c.Total != nil {
		t.Errorf("a workload on them costs %s", c.Total)
	}
	if c := rowOf(t, r.Workloads, workload("Deployment/web")).Cost; c.Total == nil || !c.LowerBound {
		t.Errorf("a workload beside them costs %+v", c)
	}
	// a node whose instance has just ended is no such: its sample stands on
	r = made(t, report.Options{}, instance("i-1", "a", "spot", -60, known(2.0), known(1.0)), sampleAt(0, []ledger.GroupUse{use("a", "spot", 1, 0, 2, 0)}), end(5))
	if r.Total.Cost.UnpricedNodeHours != 0 {
		t.Errorf("an instance that ended: %+v", r.Total.Cost)
	}
}

func TestGroupsHaveTheirPodsHours(t *testing.T) {
	entries := []ledger.Entry{instance("i-1", "a", "spot", 0, nil, known(1.0)), instance("i-2", "b", "spot", 0, nil, known(1.0))}
	for m := 0.0; m < 60; m += 5 {
		b := pods("shop", "Deployment/web", "general", "b", "spot", 2)
		b.Pending = 1
		entries = append(entries, sampleAt(m, []ledger.GroupUse{use("a", "spot", 1, 0, 7, 0), use("b", "spot", 1, 0, 2, 0)},
			pods("shop", "Deployment/web", "general", "a", "spot", 4), pods("shop", "Deployment/api", "general", "a", "spot", 3), b))
	}
	r := made(t, report.Options{}, append(entries, end(60))...)
	for zone, want := range map[string]float64{"a": 7, "b": 2} {
		if got := rowOf(t, r.Cells, func(r report.Row) bool { return r.Zone == zone }).Hours; math.Abs(got.Pods-want) > 1e-9 || got.Pending != map[string]float64{"b": 1}[zone] {
			t.Errorf("the group in zone %s has %g pod-hours and %g waiting, want %g", zone, got.Pods, got.Pending, want)
		}
	}
	if len(r.Cells) != 2 || r.Total.Hours.Pods != 9 {
		t.Errorf("%d groups, %g pod-hours in all", len(r.Cells), r.Total.Hours.Pods)
	}
}

// A launch that failed in part has given instances all the same.
func TestAPartlyFailedLaunchHasItsInstances(t *testing.T) {
	launch := at(1, ledger.Entry{Action: "launch", Object: "g", Count: 3, Token: "t", Instances: []string{"i-1", "i-lost"}, Error: "InsufficientInstanceCapacity: 1 of 3"})
	launch.Phase = ledger.Failed
	r := made(t, report.Options{}, instance("i-1", "a", "spot", 1, nil, known(1.0)), launch, end(61))
	if len(r.NoEntry) != 1 || r.NoEntry[0].ID != "i-lost" || r.NoEntry[0].Group != "g" {
		t.Errorf("unexplained %+v, want i-lost, which the launch gave", r.NoEntry)
	}
	if len(r.NotBySwell) != 0 || r.Buys.Launched != 1 {
		t.Errorf("not by swell %+v, launched %d", r.NotBySwell, r.Buys.Launched)
	}
	wantMoney(t, "the one that came", r.Total.Cost.Total, 1)
}

// The scaler that takes over with a ledger of its own has seen an instance running: it is swell's all the same.
func TestAnInstanceOfTwoLedgersIsOne(t *testing.T) {
	before := instance("i-1", "a", "on-demand", 0, nil, known(1.0))
	before.Instance.Base = true
	after := instance("i-1", "a", "on-demand", 0, known(90.0), known(1.0))
	after.Instance.Token, after.Instance.Seen = "", true
	r := made(t, report.Options{}, before, after, end(120))
	if len(r.NotBySwell) != 0 || r.Buys.Launched != 1 {
		t.Errorf("not by swell %+v, launched %d", r.NotBySwell, r.Buys.Launched)
	}
	wantMoney(t, "the base", r.Buys.Base.Cost, 1.5)
	if r.Ledger.First != nine.Add(0*time.Minute) {
		t.Errorf("the ledger begins %s", r.Ledger.First)
	}
}
