package learn

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"swell/nodegroups"
)

// Boot is what was seen of one instance's way from its launch to its first pod. A phase that was not seen is zero.
type Boot struct {
	ID       string
	Launched time.Time
	// Registered, Ready and FirstPod are how long after the launch the Node was made, became Ready, and ran a pod that is
	// neither a DaemonSet's nor static.
	Registered, Ready, FirstPod time.Duration
	// Never is how long an instance was waited for that did not become a Ready node; zero for one that did.
	Never time.Duration
}

// Phase is a stretch of a boot; each is measured from the launch.
type Phase int

const (
	Registered Phase = iota
	Ready
	FirstPod
)

func (p Phase) String() string { return [...]string{"registered", "ready", "first-pod"}[p] }

func (b Boot) took(p Phase) time.Duration {
	return [...]time.Duration{b.Registered, b.Ready, b.FirstPod}[p]
}

const (
	keepBoots    = 50  // of a key, the newest
	keepBootKeys = 200 // those with the newest boots
)

// Bounds of JoinWithin, and the factor on the 99th percentile: an instance that is slower than nearly all is given as long again.
const (
	joinFactor = 2
	JoinFloor  = 3 * time.Minute
	JoinCap    = 30 * time.Minute
)

// BootOptions of Boots.
type BootOptions struct {
	// Prior of launch to Ready. Default BootPrior.
	Prior Prior
	// PriorWeight is what the prior counts for, in boots. Default 5.
	PriorWeight float64
	// OthersWeight is what all other keys' boots together count for at most, in boots. Default 0: not at all.
	OthersWeight float64
}

// Boots learns how long instances take to become nodes. It is not safe for concurrent use.
type Boots struct {
	options BootOptions
	seen    map[BootKey][]Boot // oldest first
}

// NewBoots has seen nothing yet.
func NewBoots(o BootOptions) (*Boots, error) {
	if o.Prior == (Prior{}) {
		o.Prior = BootPrior
	}
	if o.PriorWeight == 0 {
		o.PriorWeight = 5
	}
	if err := (Options{Prior: o.Prior, PriorWeight: o.PriorWeight, OthersWeight: o.OthersWeight}).Validate(); err != nil {
		return nil, err
	}
	return &Boots{options: o, seen: map[BootKey][]Boot{}}, nil
}

// Observe takes what is known of a boot by now; phases that were known stay. It says whether that was news, which an older
// boot than those that are kept is not.
func (b *Boots) Observe(key BootKey, x Boot) bool {
	if x.ID == "" {
		return false
	}
	list := b.seen[key]
	at := slices.IndexFunc(list, func(o Boot) bool { return o.ID == x.ID })
	if at < 0 {
		list = append(list, x)
	} else {
		merged := merge(list[at], x)
		if merged == list[at] {
			return false
		}
		list[at] = merged
	}
	slices.SortFunc(list, byLaunch)
	if over := len(list) - keepBoots; over > 0 {
		list = slices.Delete(list, 0, over)
	}
	b.seen[key] = list
	b.trim()
	return b.Has(key, x.ID)
}

func byLaunch(a, b Boot) int { return cmp.Or(a.Launched.Compare(b.Launched), cmp.Compare(a.ID, b.ID)) }

// merge of two sights of one boot: what either knows. One that joined after all was not lost.
func merge(a, b Boot) Boot {
	a.Registered, a.Ready, a.FirstPod = cmp.Or(a.Registered, b.Registered), cmp.Or(a.Ready, b.Ready), cmp.Or(a.FirstPod, b.FirstPod)
	if a.Never = max(a.Never, b.Never); a.Ready > 0 {
		a.Never = 0
	}
	return a
}

// trim drops the keys whose boots are oldest.
func (b *Boots) trim() {
	if len(b.seen) <= keepBootKeys {
		return
	}
	keys := b.Keys()
	newest := func(k BootKey) time.Time { return b.seen[k][len(b.seen[k])-1].Launched }
	slices.SortStableFunc(keys, func(x, y BootKey) int { return newest(y).Compare(newest(x)) })
	for _, k := range keys[keepBootKeys:] {
		delete(b.seen, k)
	}
}

// Keys of which boots were seen, sorted.
func (b *Boots) Keys() []BootKey {
	var keys []BootKey
	for k := range b.seen {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(x, y BootKey) int {
		return cmp.Or(cmp.Compare(x.Zone, y.Zone), cmp.Compare(x.Type, y.Type), cmp.Compare(x.Image, y.Image), cmp.Compare(x.Market, y.Market))
	})
	return keys
}

// Has says whether a boot of this instance was seen to the end: its node became Ready, or it was given up.
func (b *Boots) Has(key BootKey, id string) bool {
	return slices.ContainsFunc(b.seen[key], func(o Boot) bool { return o.ID == id && (o.Ready > 0 || o.Never > 0) })
}

// Count is how many boots of a key reached a phase.
func (b *Boots) Count(key BootKey, p Phase) int { return len(took(b.seen[key], p)) }

// Never is how many of a key's instances did not become a Ready node.
func (b *Boots) Never(key BootKey) int { return len(never(b.seen[key])) }

func took(list []Boot, p Phase) []float64 {
	var out []float64
	for _, x := range list {
		if d := x.took(p); d > 0 {
			out = append(out, d.Seconds())
		}
	}
	return out
}

func never(list []Boot) []float64 {
	var out []float64
	for _, x := range list {
		if x.Never > 0 {
			out = append(out, x.Never.Seconds())
		}
	}
	return out
}

// Quantile is the time from launch to a phase that a share tau of a key's next boots will not exceed. Boots that never
// came to it count as longer than they were waited for. The prior is that of Ready for every phase: before any was seen,
// a node is taken to register no earlier than it is Ready, and to run its first pod no later.
func (b *Boots) Quantile(key BootKey, p Phase, tau float64) time.Duration {
	var others []float64
	if b.options.OthersWeight > 0 {
		for _, k := range b.Keys() {
			if k != key {
				others = append(others, took(b.seen[k], p)...)
			}
		}
	}
	return sample{own: took(b.seen[key], p), others: others, atLeast: never(b.seen[key]), othersWeight: b.options.OthersWeight,
		prior: b.options.Prior, priorWeight: b.options.PriorWeight}.quantile(tau)
}

// JoinWithin is how long an instance is waited for until its node is Ready: twice what 99 of 100 take, within bounds.
func (b *Boots) JoinWithin(key BootKey) time.Duration {
	return min(max(joinFactor*b.Quantile(key, Ready, 0.99), JoinFloor), JoinCap)
}

// bootEntry is a Boot as it is stored; times in tenths of a second keep it small.
type bootEntry struct {
	ID       string `json:"i"`
	Launched int64  `json:"l"`
	R        int64  `json:"r,omitempty"`
	Y        int64  `json:"y,omitempty"`
	F        int64  `json:"f,omitempty"`
	N        int64  `json:"n,omitempty"`
}

type bootList struct {
	Zone   string      `json:"zone"`
	Type   string      `json:"type"`
	Image  string      `json:"image"`
	Market string      `json:"market"`
	Boots  []bootEntry `json:"boots"`
}

const tenth = 100 * time.Millisecond

// MarshalJSON is all that was seen, sorted.
func (b *Boots) MarshalJSON() ([]byte, error) {
	lists := []bootList{}
	for _, k := range b.Keys() {
		l := bootList{Zone: k.Zone, Type: k.Type, Image: k.Image, Market: string(k.Market)}
		for _, x := range b.seen[k] {
			tenths := func(d time.Duration) int64 { return int64((d + tenth - 1) / tenth) }
			l.Boots = append(l.Boots, bootEntry{x.ID, x.Launched.Unix(), tenths(x.Registered), tenths(x.Ready), tenths(x.FirstPod), tenths(x.Never)})
		}
		lists = append(lists, l)
	}
	return json.Marshal(lists)
}

// Merge adds what another process, or another cluster, has stored. Boots of instances that are known are completed.
func (b *Boots) Merge(raw []byte) error {
	var lists []bootList
	if err := json.Unmarshal(raw, &lists); err != nil {
		return fmt.Errorf("reading boot times: %w; restore them from a backup, or delete them to begin anew", err)
	}
	for _, l := range lists {
		key := BootKey{Zone: l.Zone, Type: l.Type, Image: l.Image, Market: nodegroups.Market(l.Market)}
		for _, e := range l.Boots {
			if e.R < 0 || e.Y < 0 || e.F < 0 || e.N < 0 {
				return fmt.Errorf("reading boot times: instance %s took less than nothing; restore them from a backup, or delete them to begin anew", e.ID)
			}
			b.Observe(key, Boot{e.ID, time.Unix(e.Launched, 0).UTC(), time.Duration(e.R) * tenth, time.Duration(e.Y) * tenth, time.Duration(e.F) * tenth, time.Duration(e.N) * tenth})
		}
	}
	return nil
}
