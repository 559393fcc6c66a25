package render

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"

	"swell/scaler/report"
)

// CSVHeader is the first line of the CSV form. A value that is not known is empty.
var CSVHeader = []string{"from", "to", "by", "day", "pool", "zone", "market", "namespace", "workload", "measure", "unit", "value"}

// csvRow is what the rows of one name have in common.
type csvRow struct{ by, day, pool, zone, market, namespace, workload string }

type csvWriter struct {
	*csv.Writer
	from, to string
	err      error
}

func (w *csvWriter) put(k csvRow, measure, unit, value string) {
	if w.err == nil {
		w.err = w.Write([]string{w.from, w.to, k.by, k.day, k.pool, k.zone, k.market, k.namespace, k.workload, measure, unit, value})
	}
}

func (w *csvWriter) number(k csvRow, measure, unit string, v float64) {
	w.put(k, measure, unit, strconv.FormatFloat(v, 'f', -1, 64))
}

func (w *csvWriter) maybe(k csvRow, measure, unit string, v *float64) {
	if v == nil {
		w.put(k, measure, unit, "")
		return
	}
	w.number(k, measure, unit, *v)
}

func (w *csvWriter) flag(k csvRow, measure string, is bool) {
	if is {
		w.put(k, measure, "", "1")
		return
	}
	w.put(k, measure, "", "0")
}

func (w *csvWriter) money(k csvRow, measure string, m *report.Money) {
	if m == nil {
		w.put(k, measure, "currency", "")
		return
	}
	w.put(k, measure, "currency", m.Decimal())
}

// CSV writes the report in long form: a line for each name and measure.
func CSV(out io.Writer, r *report.Report) error {
	w := &csvWriter{Writer: csv.NewWriter(out), from: r.From.Format(time.RFC3339), to: r.To.Format(time.RFC3339)}
	w.err = w.Write(CSVHeader)
	w.number(csvRow{by: "ledger"}, "entries", "", float64(r.Ledger.Entries))
	w.number(csvRow{by: "ledger"}, "torn_lines", "", float64(r.Ledger.Torn))
	for _, g := range r.Ledger.Gaps {
		k := csvRow{by: "gap", day: g.From.In(r.From.Location()).Format(time.RFC3339)}
		w.number(k, "lost_entries", "", float64(g.Entries))
		w.number(k, "gap", "s", g.To.Sub(g.From).Seconds())
	}
	w.row("total", r.Total)
	if r.Before != nil {
		w.row("before", *r.Before)
	}
	w.headroom(csvRow{by: "total"}, r.BalloonTotal.Accuracy, r.BalloonTotal.Misses, r.BalloonTotal.HeldPodHours)
	w.bought(csvRow{by: "total"}, r.Buys)
	for _, d := range r.Days {
		w.row("day", d.Row)
		k := csvRow{by: "day", day: d.Day}
		w.maybe(k, "forecast_wape", "share", d.Forecast.WAPE)
		w.maybe(k, "forecast_coverage", "share", d.Forecast.Coverage)
		w.number(k, "insufficient_capacity", "times", float64(d.Shortfalls))
		w.number(k, "spot_notices", "times", float64(d.Interrupted))
	}
	for _, list := range []struct {
		by   string
		rows []report.Row
	}{{"group", r.Cells}, {"pool", r.Pools}, {"zone", r.Zones}, {"market", r.Markets}, {"namespace", r.Namespaces}, {"workload", r.Workloads}} {
		for _, row := range list.rows {
			w.row(list.by, row)
		}
	}
	for _, p := range r.Purchases {
		w.bought(csvRow{by: "purchase", pool: p.Pool, market: p.Market}, p)
	}
	for _, b := range r.Balloons {
		k := csvRow{by: "balloon", namespace: namespaceOf(b.Balloon), workload: b.Workload}
		w.headroom(k, b.Accuracy, b.Misses, b.HeldPodHours)
		w.money(k, "cost_headroom", b.Cost)
		w.flag(k, "cost_is_lower_bound", b.LowerBound)
		w.money(k, "cost_avoided", b.AvoidedCost)
	}
	for _, b := range r.BootsByDay {
		k := csvRow{by: "boot", day: b.Day, zone: b.Zone, workload: b.Type}
		w.number(k, "boots", "times", float64(b.Count))
		w.number(k, "boot_p50", "s", b.P50)
		w.number(k, "boot_p95", "s", b.P95)
	}
	for _, u := range unexplained(r) {
		k := csvRow{by: "unexplained", zone: u.Zone, market: u.Market, workload: u.ID}
		w.money(k, "cost_in_ledger", u.Ledger)
		w.money(k, "cost_on_bill", u.Bill)
		w.money(k, "difference", u.Difference)
	}
	w.Flush()
	if w.err == nil {
		w.err = w.Error()
	}
	if w.err != nil {
		return fmt.Errorf("writing the report as CSV: %w", w.err)
	}
	return nil
}

func namespaceOf(name string) string {
	for i := range name {
		if name[i] == '/' {
			return name[:i]
		}
	}
	return ""
}

// unexplained instances of the bill and of the ledger itself.
func unexplained(r *report.Report) []report.Unexplained {
	out := r.NoEntry
	if r.Bill != nil {
		out = append(append([]report.Unexplained{}, r.Bill.Unexplained...), out...)
	}
	return out
}

func (w *csvWriter) row(by string, r report.Row) {
	k := csvRow{by, r.Day, r.Pool, r.Zone, r.Market, r.Namespace, r.Workload}
	w.money(k, "cost", r.Cost.Total)
	w.money(k, "cost_asked", r.Cost.Asked)
	w.money(k, "cost_headroom", r.Cost.Headroom)
	if by != "namespace" && by != "workload" { // idle room is nobody's
		w.money(k, "cost_idle", r.Cost.Idle)
		w.money(k, "cost_booting", r.Cost.Booting)
		w.money(k, "cost_not_sampled", r.Cost.NotSampled)
	}
	h := r.Hours
	w.flag(k, "cost_is_lower_bound", r.Cost.LowerBound)
	w.number(k, "unpriced_node_hours", "h", r.Cost.UnpricedNodeHours)
	w.number(k, "unpriced_pod_hours", "h", r.Cost.UnpricedPodHours)
	w.number(k, "node_hours", "h", h.Node)
	w.number(k, "asked_core_hours", "core-h", h.Asked.Cores)
	w.number(k, "asked_gib_hours", "GiB-h", h.Asked.Memory)
	w.number(k, "headroom_core_hours", "core-h", h.Held.Cores)
	w.number(k, "headroom_gib_hours", "GiB-h", h.Held.Memory)
	if by != "namespace" && by != "workload" {
		w.number(k, "capacity_core_hours", "core-h", h.Capacity.Cores)
		w.number(k, "capacity_gib_hours", "GiB-h", h.Capacity.Memory)
		w.number(k, "idle_core_hours", "core-h", h.Idle.Cores)
		w.number(k, "idle_gib_hours", "GiB-h", h.Idle.Memory)
	}
	if h.Used != nil {
		w.number(k, "used_core_hours", "core-h", h.Used.Cores)
		w.number(k, "used_gib_hours", "GiB-h", h.Used.Memory)
	} else {
		w.put(k, "used_core_hours", "core-h", "")
		w.put(k, "used_gib_hours", "GiB-h", "")
	}
	w.number(k, "pod_hours", "h", h.Pods)
	w.number(k, "pending_pod_hours", "h", h.Pending)
}

func (w *csvWriter) headroom(k csvRow, a report.Accuracy, m report.Misses, held float64) {
	w.maybe(k, "forecast_wape", "share", a.WAPE)
	w.maybe(k, "forecast_coverage", "share", a.Coverage)
	w.maybe(k, "forecast_promised", "share", a.Promised)
	w.number(k, "held_pod_hours", "h", held)
	w.number(k, "missed_pod_hours", "h", m.With)
	w.number(k, "missed_pod_hours_without_balloons", "h", m.Without)
}

func (w *csvWriter) bought(k csvRow, p report.Purchase) {
	w.number(k, "instances", "", float64(p.Instances))
	w.number(k, "launched", "", float64(p.Launched))
	w.number(k, "interrupted", "", float64(p.LostToAWS))
	w.number(k, "bought_node_hours", "h", p.NodeHours)
	w.money(k, "bought", p.Cost)
	w.flag(k, "bought_is_lower_bound", p.LowerBound)
	w.money(k, "bought_on_demand_base", p.Base.Cost)
	w.money(k, "bought_fallback", p.Fallback.Cost)
	w.money(k, "bought_prepaid", p.Prepaid.Cost)
	w.money(k, "spot_saved", p.Saved)
	w.money(k, "fallback_extra", p.Extra)
}
