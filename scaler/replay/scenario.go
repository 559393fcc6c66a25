package replay

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/scaler/schedule"
)

// Scenario is a cluster and the work that it is given.
type Scenario struct {
	Name   string `json:"name"`
	Demand Demand `json:"demand,omitempty"`
	// TimeZone of the local wall clock, an IANA name. Default UTC.
	TimeZone string `json:"timeZone,omitempty"`
	// Holidays is a two-letter country whose holidays count as Sundays. Default none.
	Holidays string `json:"holidays,omitempty"`
	// NodePods is how many pods a node holds. Default 15.
	NodePods int `json:"nodePods,omitempty"`
	// Lead is from the launch of a node until it serves, where that is the same for all. Default 5m; not with boot.
	Lead metav1.Duration `json:"lead,omitempty"`
	// HPADelay is how old the desired replicas are that a policy sees. Default 30s.
	HPADelay metav1.Duration `json:"hpaDelay,omitempty"`
	// Scan is how often policies decide and the cluster is looked at; a divisor of a minute. Default 15s.
	Scan metav1.Duration `json:"scan,omitempty"`
	// ScaleInAfter is how long a node was not wanted before it goes. Default 10m.
	ScaleInAfter metav1.Duration `json:"scaleInAfter,omitempty"`
	// Zones with equal shares of the pods. Default 0: one zone, whose pods fit wherever there is room.
	Zones int `json:"zones,omitempty"`
	// MaxNodes is the most nodes of a zone. Default 1000; with zones only.
	MaxNodes int `json:"maxNodes,omitempty"`
	// Boot is how long nodes take from launch to Ready, lognormal; with zones only. Default p50 50s, p95 2m.
	Boot Boot `json:"boot,omitempty"`
	// PodStart is image pull and start of a pod on a new node, which Boot does not count. With zones only; default 25s.
	PodStart *metav1.Duration `json:"podStart,omitempty"`
	// Spot is the market beside on-demand, whose price is 1; with zones only.
	Spot Spot `json:"spot,omitempty"`
	// Outages are when a market of a zone has no capacity; with zones only.
	Outages Outages `json:"outages,omitempty"`
}

// Kinds of Demand.
const (
	TraceDemand  = "trace"  // the last third of a recorded load
	OfficeDemand = "office" // a synthetic chat service for offices
)

// Demand is what is played.
type Demand struct {
	// Kind is trace or office. Default trace.
	Kind string `json:"kind,omitempty"`
	// Mean of the trace's last third, in pods. Default 300; traces only.
	Mean float64 `json:"mean,omitempty"`
	// Noise is the deviation of a minute's demand, as a share of it. Default 0.02.
	Noise *float64 `json:"noise,omitempty"`
	// Play is the most that is played. Default 504h of a trace's last third, 672h of the office.
	Play metav1.Duration `json:"play,omitempty"`
	// History is how much before that policies may learn from. Default 672h of a trace, 1344h of the office.
	History metav1.Duration `json:"history,omitempty"`
}

// Boot is a lognormal distribution by two of its quantiles.
type Boot struct {
	P50 metav1.Duration `json:"p50,omitempty"`
	P95 metav1.Duration `json:"p95,omitempty"`
}

// Spot is a market whose nodes may be reclaimed.
type Spot struct {
	// Price as a share of on-demand's. Default 0.35.
	Price float64 `json:"price,omitempty"`
	// Share of a zone's nodes that may be spot, where it has capacity. Default 0: none.
	Share float64 `json:"share,omitempty"`
	// ReclaimedPerHour is the probability that a node is reclaimed within an hour. Default 0.
	ReclaimedPerHour float64 `json:"reclaimedPerHour,omitempty"`
	// Notice before a reclaimed node is gone. Default 2m.
	Notice metav1.Duration `json:"notice,omitempty"`
}

// Outages of capacity, drawn for each zone and market.
type Outages struct {
	// PerWeek is the mean number a week. Default 0.
	PerWeek float64 `json:"perWeek,omitempty"`
	// Lasting is how long one lasts. Default 30m.
	Lasting metav1.Duration `json:"lasting,omitempty"`
	// WorstHour takes spot from the first zone for the hour of the steepest rise.
	WorstHour bool `json:"worstHour,omitempty"`
}

const day = 24 * time.Hour

var builtIn = map[string]Scenario{
	"core-300": {},
	"core-120": {Lead: metav1.Duration{Duration: 2 * time.Minute}},
	"core-3z": {
		Zones:   3,
		Spot:    Spot{Share: 0.7, ReclaimedPerHour: 0.02},
		Outages: Outages{PerWeek: 2, WorstHour: true},
	},
	"office-morning": {Demand: Demand{Kind: OfficeDemand}, TimeZone: "Asia/Tokyo", Holidays: "JP"},
}

// BuiltIn is a scenario by its name.
func BuiltIn(name string) (Scenario, bool) {
	s, ok := builtIn[name]
	s.Name = name
	return s.WithDefaults(), ok
}

// BuiltInNames are the names that BuiltIn knows, sorted.
func BuiltInNames() []string { return slices.Sorted(maps.Keys(builtIn)) }

// WithDefaults fills in what is left out.
func (s Scenario) WithDefaults() Scenario {
	or := func(d *metav1.Duration, def time.Duration) {
		if d.Duration == 0 {
			d.Duration = def
		}
	}
	if s.Zones == 0 {
		or(&s.Lead, 5*time.Minute)
	} else {
		or(&s.Boot.P50, 50*time.Second)
		or(&s.Boot.P95, 2*time.Minute)
		if s.PodStart == nil {
			s.PodStart = &metav1.Duration{Duration: 25 * time.Second}
		}
		or(&s.Spot.Notice, 2*time.Minute)
		or(&s.Outages.Lasting, 30*time.Minute)
		if s.Spot.Price == 0 {
			s.Spot.Price = 0.35
		}
		if s.MaxNodes == 0 {
			s.MaxNodes = 1000
		}
	}
	or(&s.HPADelay, 30*time.Second)
	or(&s.Scan, 15*time.Second)
	or(&s.ScaleInAfter, 10*time.Minute)
	if s.Demand.Kind == "" {
		s.Demand.Kind = TraceDemand
	}
	if s.Demand.Kind == OfficeDemand {
		or(&s.Demand.Play, 4*7*day)
		or(&s.Demand.History, 8*7*day)
	}
	or(&s.Demand.Play, 21*day)
	or(&s.Demand.History, 28*day)
	if s.Demand.Mean == 0 {
		s.Demand.Mean = 300
	}
	if s.Demand.Noise == nil {
		noise := 0.02
		s.Demand.Noise = &noise
	}
	if s.NodePods == 0 {
		s.NodePods = 15
	}
	return s
}

// Wrong is a field that makes no sense, and the mend.
type Wrong struct{ Field, What string }

// Validate names the fields that cannot be used.
func (s Scenario) Validate() []Wrong {
	given := s
	s = s.WithDefaults()
	var out []Wrong
	check := func(ok bool, field, what string) {
		if !ok {
			out = append(out, Wrong{field, what})
		}
	}
	whole := func(d metav1.Duration) bool { return d.Duration > 0 && d.Duration%s.Scan.Duration == 0 }
	scan := s.Scan.Duration
	if scan < time.Second || scan%time.Second != 0 || time.Minute%scan != 0 {
		return []Wrong{{"scan", "is " + scan.String() + ": give whole seconds that divide a minute, such as 15s"}}
	}
	if _, err := time.LoadLocation(s.TimeZone); err != nil || s.TimeZone == time.Local.String() {
		check(false, "timeZone", fmt.Sprintf("%q is not known: give an IANA name such as Europe/Paris", s.TimeZone))
	}
	if s.Holidays != "" {
		if _, err := schedule.Holidays(s.Holidays); err != nil {
			check(false, "holidays", err.Error())
		}
	}
	kinds := []string{TraceDemand, OfficeDemand}
	check(slices.Contains(kinds, s.Demand.Kind), "demand.kind", fmt.Sprintf("is %q: give one of %s", s.Demand.Kind, strings.Join(kinds, ", ")))
	check(s.Demand.Mean > 0 && s.Demand.Mean <= 1e6, "demand.mean", "is not a number of pods: give one above 0, at most 1000000")
	check(*s.Demand.Noise >= 0 && *s.Demand.Noise <= 0.25, "demand.noise", "is not a share: give 0 to 0.25")
	check(s.Demand.Play.Duration >= time.Hour, "demand.play", "is too short: give at least 1h")
	check(s.Demand.History.Duration > 0, "demand.history", "is below zero: leave it out, or give a duration")
	check(s.NodePods > 0 && s.NodePods <= 1000, "nodePods", "is not a number of pods: give 1 to 1000")
	check(whole(s.HPADelay), "hpaDelay", "is not a multiple of scan: give one above zero, such as 30s")
	check(whole(s.ScaleInAfter), "scaleInAfter", "is not a multiple of scan: give one above zero, such as 10m")
	check(s.Zones >= 0 && s.Zones <= 20, "zones", "is not a number of zones: give 1 to 20, or leave it out")
	if s.Zones == 0 {
		check(whole(s.Lead) && s.Lead.Duration <= 24*time.Hour, "lead", "is not a multiple of scan: give one above zero, at most 24h")
		check(given.Boot == Boot{} && given.PodStart == nil, "boot", "and podStart need zones: set zones, or give lead instead")
		check(given.MaxNodes == 0, "maxNodes", "needs zones: set zones, or leave it out")
		check(given.Spot == Spot{}, "spot", "needs zones: set zones, or leave it out")
		check(given.Outages == Outages{}, "outages", "needs zones: set zones, or leave it out")
		return out
	}
	check(given.Lead.Duration == 0, "lead", "is not used with zones: give boot and podStart instead")
	check(s.MaxNodes > 0 && s.MaxNodes <= 1e5, "maxNodes", "is not a number of nodes: give 1 to 100000")
	check(s.Boot.P50.Duration > 0 && s.Boot.P95.Duration >= s.Boot.P50.Duration, "boot", "makes no sense: give p50 above zero and p95 that is not below it")
	check(s.PodStart.Duration >= 0, "podStart", "is below zero: leave it out, or give a duration")
	check(s.Spot.Price > 0 && s.Spot.Price <= 1, "spot.price", "is not a share of on-demand's price: give one above 0, at most 1")
	check(s.Spot.Share >= 0 && s.Spot.Share <= 1, "spot.share", "is not a share: give 0 to 1")
	check(s.Spot.ReclaimedPerHour >= 0 && s.Spot.ReclaimedPerHour < 1, "spot.reclaimedPerHour", "is not a probability below 1: give 0 to 0.99")
	check(s.Spot.Notice.Duration >= 0, "spot.notice", "is below zero: give a duration")
	check(s.Outages.PerWeek >= 0 && s.Outages.PerWeek <= 100, "outages.perWeek", "is not a number: give 0 to 100")
	check(s.Outages.Lasting.Duration > 0, "outages.lasting", "is not above zero: give a duration")
	return out
}

// lead is from the launch of a node until it serves: the 95th percentile, where that is random.
func (s Scenario) lead() time.Duration {
	if s.Zones == 0 {
		return s.Lead.Duration
	}
	return s.Boot.P95.Duration + s.PodStart.Duration
}

func seconds(d metav1.Duration) int64 { return int64(d.Duration / time.Second) }

func ceilDiv(a, b int) int { return (a + b - 1) / b }
