package lag

import (
	"slices"
	"time"
)

// partition names a partition of one making of a topic.
type partition struct {
	topic string
	id    [16]byte
	n     int32
}

// rates keeps what was produced and consumed over a window, counted per partition so that a topic
// made anew or a partition that was unreadable for a while adds no jump backwards.
type rates struct {
	window             time.Duration
	last               map[partition]mark
	produced, consumed float64
	points             []point
}

type mark struct{ end, commit int64 }

// point is the running counts at one time.
type point struct {
	at                 time.Time
	produced, consumed float64
}

// observe adds one poll. What is not one whole poll, newer than the last, adds nothing: the counts catch
// up with the next one that is, so that a gap is neither a standstill nor a burst.
func (r *rates) observe(readings []Reading, rules Rules) {
	at, ok := onePoll(readings)
	if n := len(r.points); !ok || n > 0 && !at.After(r.points[n-1].at) {
		return
	}
	for _, p := range readings {
		if _, problem := Of(p, Rules{Isolation: rules.Isolation}); problem != "" {
			return
		}
	}
	next := make(map[partition]mark, len(readings))
	for _, p := range readings {
		key := partition{p.Topic, p.TopicID, p.Partition}
		end := rules.end(p)
		next[key] = mark{end: end, commit: p.Commit}
		before, seen := r.last[key]
		if !seen || end < before.end {
			continue
		}
		r.produced += float64(end - before.end)
		if before.commit >= 0 && p.Commit > before.commit {
			r.consumed += float64(p.Commit - before.commit)
		}
	}
	r.last = next
	r.points = append(r.points, point{at: at, produced: r.produced, consumed: r.consumed})
	r.forget(at)
}

// onePoll is the time of the poll that all the readings come from.
func onePoll(readings []Reading) (time.Time, bool) {
	if len(readings) == 0 {
		return time.Time{}, false
	}
	for _, p := range readings {
		if !p.At.Equal(readings[0].At) {
			return time.Time{}, false
		}
	}
	return readings[0].At, true
}

func (r *rates) forget(now time.Time) {
	first := 0
	for first < len(r.points) && now.Sub(r.points[first].at) > r.window {
		first++
	}
	r.points = append(r.points[:0], r.points[first:]...)
}

// perSecond is the least-squares slope over the window; unknown with fewer than three polls. One poll's
// burst is backlog, which is counted as such: it does not count a second time as a rate.
func (r *rates) perSecond() (produce, consume float64, known bool) {
	if len(r.points) < 3 {
		return 0, 0, false
	}
	seconds := make([]float64, len(r.points))
	consumed := make([]float64, len(r.points))
	for i, p := range r.points {
		seconds[i] = p.at.Sub(r.points[0].at).Seconds()
		consumed[i] = p.consumed - r.points[0].consumed
	}
	return slope(seconds, r.withoutBurst(seconds)), slope(seconds, consumed), true
}

// withoutBurst is the produced count with each interval's rate cut at the upper quartile plus three times the
// spread of the quartiles, so that what lasts for two polls counts and what is in one alone does not.
func (r *rates) withoutBurst(seconds []float64) []float64 {
	n := len(r.points) - 1
	each := make([]float64, n)
	for i := range each {
		each[i] = (r.points[i+1].produced - r.points[i].produced) / (seconds[i+1] - seconds[i])
	}
	sorted := slices.Sorted(slices.Values(each))
	low, high := sorted[(n+3)/4-1], sorted[(3*n+3)/4-1]
	most := high + 3*(high-low)
	counts := make([]float64, n+1)
	for i, rate := range each {
		counts[i+1] = counts[i] + min(rate, most)*(seconds[i+1]-seconds[i])
	}
	return counts
}

// slope is the least-squares slope of y over x, at least zero.
func slope(x, y []float64) float64 {
	var n, sx, sxx, sy, sxy float64
	for i := range x {
		n, sx, sxx, sy, sxy = n+1, sx+x[i], sxx+x[i]*x[i], sy+y[i], sxy+x[i]*y[i]
	}
	return max(0, (n*sxy-sx*sy)/(n*sxx-sx*sx))
}
