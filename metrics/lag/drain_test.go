package lag

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"swell/api/v1alpha1"
)

// plant is a topic, its consumers' pods and their HPA, second by second, played against a tracker.
type plant struct {
	partitions int
	mu         float64
	produce    float64       // of all partitions
	startup    time.Duration // from the HPA's decision until a pod is ready
	spread     time.Duration // between the first and the last pod of one decision
	rebalance  time.Duration // how long nobody reads after the ready pods changed
	syncEvery  time.Duration
	doubling   bool // the HPA at most doubles, or adds 4, in one sync
	reports    bool // the poller sees that the group rebalances
	tracker    *Tracker
	opts       Options

	now         time.Time
	end, commit []float64
	pods        []time.Time // when each became, or becomes, ready
	ready       int
	lastReady   time.Time
	still       time.Time // until when nobody reads
	last        Estimate
	want        int // what the last estimate that was known asked for
	pollAt      time.Time
	syncAt      time.Time
	trace       []string // one line for each poll
}

// drawPlant draws a plant whose consumers are declared to read as many times μ as they do.
func drawPlant(t *rapid.T, declared float64) *plant {
	p := &plant{
		partitions: rapid.IntRange(1, 60).Draw(t, "partitions"),
		mu:         rapid.Float64Range(20, 500).Draw(t, "mu"),
		startup:    time.Duration(rapid.IntRange(5, 90).Draw(t, "startup")) * time.Second,
		spread:     time.Duration(rapid.IntRange(0, 20).Draw(t, "spread")) * time.Second,
		rebalance:  time.Duration(rapid.IntRange(0, 20).Draw(t, "rebalance")) * time.Second,
		syncEvery:  15 * time.Second,
		doubling:   rapid.Bool().Draw(t, "doubling"),
		reports:    rapid.Bool().Draw(t, "reports"),
		now:        time.Unix(1_000_000, 0),
	}
	p.opts = Options{Rules: Rules{Isolation: v1alpha1.ReadCommitted}, Window: 30 * time.Second, PerPod: p.mu * declared, Learn: rapid.Bool().Draw(t, "learn"),
		Policy: Policy{DrainTarget: time.Duration(rapid.IntRange(30, 300).Draw(t, "T")) * time.Second, RebalanceTime: p.rebalance,
			Utilization: rapid.Float64Range(0.5, 0.95).Draw(t, "u"), Snap: true}}
	tr, err := NewTracker(p.opts)
	if err != nil {
		t.Fatal(err)
	}
	p.tracker = tr
	p.end, p.commit = make([]float64, p.partitions), make([]float64, p.partitions)
	for i := range p.end {
		p.end[i] = float64(i) / float64(p.partitions) // so that not all partitions get their next message in the same second
		p.commit[i] = p.end[i]
	}
	p.pollAt = p.now.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "poll phase")) * time.Second)
	p.syncAt = p.now.Add(time.Duration(rapid.IntRange(0, 14).Draw(t, "sync phase")) * time.Second)
	return p
}

func (p *plant) lag() (sum float64) {
	for i := range p.end {
		sum += math.Floor(p.end[i]) - math.Floor(p.commit[i])
	}
	return sum
}

func (p *plant) burst(messages float64) {
	for i := range p.end {
		p.end[i] += messages / float64(p.partitions)
	}
}

// second plays one second and says whether a poll was in it.
func (p *plant) second() (polled bool) {
	p.now = p.now.Add(time.Second)
	ready := 0
	for _, at := range p.pods {
		if !at.After(p.now) {
			ready++
		}
	}
	if ready != p.ready {
		if ready > p.ready {
			p.lastReady = p.now
		}
		p.ready, p.still = ready, p.now.Add(p.rebalance)
	}
	for i := range p.end {
		p.end[i] += p.produce / float64(p.partitions)
	}
	if !p.now.Before(p.still) {
		p.read()
	}
	if !p.now.Before(p.pollAt) {
		p.pollAt, polled = p.now.Add(5*time.Second), true
		p.poll()
	}
	if !p.now.Before(p.syncAt) {
		p.syncAt = p.now.Add(p.syncEvery)
		p.scale()
	}
	return polled
}

// read lets every ready pod read a second's worth from the partitions that it has, from the fullest first.
func (p *plant) read() {
	for pod := range min(p.ready, p.partitions) {
		var own []int
		for i := pod; i < p.partitions; i += p.ready {
			own = append(own, i)
		}
		slices.SortFunc(own, func(a, b int) int {
			return int(math.Copysign(1, (p.end[b]-p.commit[b])-(p.end[a]-p.commit[a])))
		})
		left := p.mu
		for n, i := range own {
			// What one partition does not need, the others get.
			took := min(p.end[i]-p.commit[i], left/float64(len(own)-n))
			if n == len(own)-1 {
				took = min(p.end[i]-p.commit[i], left)
			}
			p.commit[i] += took
			left -= took
		}
	}
}

func (p *plant) poll() {
	readings := make([]Reading, p.partitions)
	for i := range readings {
		readings[i] = Reading{Topic: "orders", Partition: int32(i), At: p.now, Commit: int64(p.commit[i]), End: int64(p.end[i]), Stable: int64(p.end[i])}
	}
	p.last = p.tracker.Observe(p.now, readings, Members{Pods: Pods{Ready: p.ready, LastReady: p.lastReady}, Rebalancing: p.reports && p.now.Before(p.still)})
	p.trace = append(p.trace, fmt.Sprintf("%s %2d ready of %2d, %s", clock(p.now), p.ready, len(p.pods), p.last.Why))
	if p.last.Unknown == "" {
		p.want = max(1, p.last.Replicas)
	}
}

// scale is the HPA's sync.
func (p *plant) scale() {
	n := max(1, p.want) // nothing is known yet
	if have := len(p.pods); p.doubling {
		n = min(n, max(2*have, have+4))
	}
	for added := 0; len(p.pods) < n; added++ {
		after := p.startup
		if k := n - len(p.pods) + added; k > 1 {
			after += p.spread * time.Duration(added) / time.Duration(k-1)
		}
		p.pods = append(p.pods, p.now.Add(after))
	}
	p.pods = p.pods[:n]
}

// oracle is the count for what is there now, by one who knows the true rates.
func (p *plant) oracle() int {
	load := Load{Lag: int64(p.lag()), Produce: p.produce, PerPod: p.mu, Partitions: p.partitions}
	return Level(Need(load, p.opts.Policy), p.partitions, true)
}

func (p *plant) String() string {
	return fmt.Sprintf("%d partitions, μ %.4g, λ %.4g, T %s, u %.3g, startup %s+%s, rebalance %s, doubling %t, learn %t", p.partitions, p.mu, p.produce,
		p.opts.DrainTarget, p.opts.Utilization, p.startup, p.spread, p.rebalance, p.doubling, p.opts.Learn) + "\n" +
		strings.Join(p.trace[max(0, len(p.trace)-60):], "\n")
}

// allowed is T and a poll, or the pause after the last pod, if that is longer: the formula counts from when the group reads;
// or, where the partitions cannot be shared evenly, what the pod needs that has one more than others.
func (p *plant) allowed(backlog float64) time.Duration {
	target := p.opts.DrainTarget
	if share := math.Ceil(float64(p.partitions)/float64(p.ready)) / float64(p.partitions); p.partitions%p.ready > 0 {
		left := p.mu - share*p.produce
		if left <= 0 {
			return math.MaxInt64
		}
		target = max(target, time.Duration(share*(backlog+p.produce*p.rebalance.Seconds())/left*float64(time.Second)))
	}
	return target + max(5*time.Second, p.rebalance)
}

// TestBurstIsDrainedInTime plays bursts of 10 to 1000 seconds' arrivals: gone within T from the last pod Ready, at most one
// level above what one asks for who knows the rates, and with a fall only when it is gone.
func TestBurstIsDrainedInTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlant(t, 1)
		ratio := math.Exp(rapid.Float64Range(math.Log(10), math.Log(1000)).Draw(t, "ln L/λ"))
		pol := p.opts.Policy
		per := Need(Load{Lag: int64(1e6 * ratio), Produce: 1e6, PerPod: p.mu}, pol) / 1e6
		p.produce = rapid.Float64Range(0.05, 0.6).Draw(t, "part of the partitions") * float64(p.partitions) / per
		p.warmUp(t)
		before := p.want
		over := rapid.IntRange(1, 10).Draw(t, "burst over seconds")
		burst := p.produce * ratio / float64(over)
		most, oracle, drained := p.want, p.want, false
		readyAt, backlog := p.now, p.lag()
		for !drained {
			if over > 0 {
				p.burst(burst)
				over--
				readyAt, backlog = p.now, 0
			}
			polled := p.second()
			if p.lastReady.After(readyAt) {
				readyAt, backlog = p.lastReady, 0
			}
			backlog = max(backlog, p.lag())
			oracle = max(oracle, p.oracle())
			if !polled {
				continue
			}
			e := p.last
			if e.Replicas < most && e.Draining {
				t.Fatalf("%s, L/λ %.3g: fell from %d to %d while it drains", p, ratio, most, e.Replicas)
			}
			most = max(most, e.Replicas)
			drained = !e.Draining
			from := p.now.Sub(readyAt)
			if all := len(p.pods) == p.ready && p.ready == p.want; !drained && all && oracle < p.partitions && from > p.allowed(backlog) {
				t.Fatalf("%s, L/λ %.3g, before %d: after %s of %d pods %d messages are left", p, ratio, before, from, p.ready, e.Lag)
			}
		}
		if next := Level(float64(oracle)+1, p.partitions, true); most > next {
			t.Fatalf("%s, L/λ %.3g, before %d: asked for %d, the oracle for %d, the next level is %d", p, ratio, before, most, oracle, next)
		}
		p.settles(t, ratio)
	})
}

// warmUp plays until the group has read what was produced before its first pods were ready, and two minutes more.
func (p *plant) warmUp(t *rapid.T) {
	for i, calm := 0, 0; calm < 120; i++ {
		p.second()
		if calm++; p.last.Unknown != "" || p.last.Draining || p.ready != p.want {
			calm = 0
		}
		if i > 3600 {
			t.Fatalf("%s: an hour was not enough to begin with", p)
		}
	}
}

// settles plays ten minutes after the backlog is gone: the count falls and does not rise again.
func (p *plant) settles(t *rapid.T, ratio float64) {
	was := p.want
	for range 600 {
		if !p.second() {
			continue
		}
		if p.want > was {
			t.Fatalf("%s, L/λ %.3g: rose again from %d to %d", p, ratio, was, p.want)
		}
		was = p.want
	}
	if p.last.Draining {
		t.Fatalf("%s, L/λ %.3g: a backlog is back", p, ratio)
	}
}

// TestLearnedRateIsBetweenDeclaredAndTrue plays bursts at pods whose rate was declared wrongly.
func TestLearnedRateIsBetweenDeclaredAndTrue(t *testing.T) {
	learned := 0
	rapid.Check(t, func(t *rapid.T) {
		declared := math.Exp(rapid.Float64Range(-math.Ln2, math.Ln2).Draw(t, "ln declared/μ"))
		p := drawPlant(t, declared)
		p.opts.Learn = true
		if err := p.tracker.SetOptions(p.opts); err != nil {
			t.Fatal(err)
		}
		p.produce = rapid.Float64Range(0.05, 0.3).Draw(t, "λ in pods") * float64(p.partitions) * p.mu
		low, high := p.mu*min(1, declared)*(1-idlePods)-1, p.mu*max(1, declared)*1.03+1
		for range 4 {
			p.burst(p.produce * 120)
			for range 600 {
				if p.second() && (p.last.PerPod < low || p.last.PerPod > high) {
					t.Fatalf("%s: learned %.4g, declared %.4g", p, p.last.PerPod, p.opts.PerPod)
				}
			}
		}
		if math.Abs(p.last.PerPod-p.opts.PerPod) > 0.01*p.opts.PerPod {
			learned++
		}
	})
	if learned == 0 {
		t.Error("nothing was ever learned")
	}
}
