package lag

import (
	"maps"
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
	marks              map[partition]mark
	produced, consumed float64
	points             []point
	// recent are the points of recentWindows, which more than one batch of a producer falls into.
	recent []point
	// windows are points that have left the window, one window apart at least.
	windows []point
	// poll numbers the polls, so that partitions that are gone are found. began are the times at which the stretches of
	// mark.produced began, the youngest first; each is half a window at least.
	poll  uint32
	began [stretches]time.Time
}

// windowsKept is how many points that are older than the window are kept.
const windowsKept = 11

// stretches is how many counts of what was produced are kept for each partition: two whole ones, so that what is in one
// poll alone is seen to be missing from the other, and the one that is being filled.
const stretches = 3

// mark is what a partition looked like in the last poll.
type mark struct {
	end, done int64
	poll      uint32
	produced  [stretches]float64
}

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
		if _, problem := Of(p, Rules{Isolation: rules.Isolation}); problem != "" || position(p, rules).end < 0 {
			return
		}
	}
	rotate := r.rotate(at)
	if r.marks == nil {
		r.marks = make(map[partition]mark, len(readings))
	}
	r.poll++
	for _, p := range readings {
		key := partition{p.Topic, p.TopicID, p.Partition}
		next := position(p, rules)
		next.poll = r.poll
		before, seen := r.marks[key]
		if seen && next.end >= before.end {
			next.produced = before.produced
			if rotate {
				copy(next.produced[1:], before.produced[:])
				next.produced[0] = 0
			}
			produced := float64(next.end - before.end)
			next.produced[0] += produced
			r.produced += produced
			if before.done >= 0 && next.done > before.done {
				r.consumed += float64(next.done - before.done)
			}
		}
		r.marks[key] = next
	}
	if len(r.marks) > len(readings) {
		maps.DeleteFunc(r.marks, func(_ partition, m mark) bool { return m.poll != r.poll })
	}
	r.points = append(r.points, point{at: at, produced: r.produced, consumed: r.consumed})
	r.recent = append(r.recent, r.points[len(r.points)-1])
	r.forget(at)
}

// position is a partition's end, and the offset up to which the group is done: share consumers are done with some of the
// messages beyond their start.
func position(p Reading, rules Rules) mark {
	m := mark{end: rules.end(p), done: p.Commit}
	if p.Share {
		if m.end < 0 {
			m.end = p.End
		}
		m.done = max(Unknown, m.end-p.ShareLag)
	}
	return m
}

// rotate starts another stretch of the partitions' counts when the last one is long enough, and says so.
func (r *rates) rotate(at time.Time) bool {
	// The counts up to here end with the last poll, which is where the next stretch begins.
	next := at
	if n := len(r.points); n > 0 {
		next = r.points[n-1].at
	}
	if !r.began[0].IsZero() && next.Sub(r.began[0]) < r.window/2 {
		return false
	}
	copy(r.began[1:], r.began[:])
	r.began[0] = next
	return true
}

// shares says which part of the messages produced lately each partition had, together 1; nil where none were. What was
// in one poll alone, a burst, does not count, unless nothing else was produced.
func (r *rates) shares(readings []Reading) []float64 {
	n := len(r.points)
	if n == 0 {
		return nil
	}
	young, old := r.points[n-1].at.Sub(r.began[1]).Seconds(), r.began[1].Sub(r.began[2]).Seconds()
	steady, all := make([]float64, len(readings)), make([]float64, len(readings))
	var sumSteady, sumAll float64
	for i, p := range readings {
		m := r.marks[partition{p.Topic, p.TopicID, p.Partition}]
		all[i] = m.produced[0] + m.produced[1] + m.produced[2]
		if !r.began[2].IsZero() && young > 0 && old > 0 {
			steady[i] = min((m.produced[0]+m.produced[1])/young, m.produced[2]/old)
		}
		sumSteady, sumAll = sumSteady+steady[i], sumAll+all[i]
	}
	if sumSteady == 0 {
		steady, sumSteady = all, sumAll
	}
	if sumSteady == 0 {
		return nil
	}
	for i := range steady {
		steady[i] /= sumSteady
	}
	return steady
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
	old := 0
	for now.Sub(r.recent[old].at) > recentWindows*r.window {
		old++
	}
	r.recent = append(r.recent[:0], r.recent[old:]...)
	first := 0
	for first < len(r.points) && now.Sub(r.points[first].at) > r.window {
		if n := len(r.windows); n == 0 || r.points[first].at.Sub(r.windows[n-1].at) >= r.window {
			r.windows = append(r.windows, r.points[first])
		}
		first++
	}
	r.points = append(r.points[:0], r.points[first:]...)
	if n := len(r.windows) - windowsKept; n > 0 {
		r.windows = append(r.windows[:0], r.windows[n:]...)
	}
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

// sustained is the part of the produce rate that replicas are counted for: what more than half of the polls in the window
// have shown, or more than half of the windows before it, or what comes in batches. A burst of a few polls is backlog, and would be
// counted twice.
func (r *rates) sustained(produce float64) float64 {
	var mean float64
	if n := len(r.points); n > 1 {
		mean = (r.points[n-1].produced - r.points[0].produced) / r.points[n-1].at.Sub(r.points[0].at).Seconds()
	}
	return max(min(produce, middle(r.points)), min(mean, middle(r.windows)), batches(r.recent))
}

// middle is the largest rate that more than half of the stretches between points reach, in messages a second; zero with
// fewer than two points.
func middle(points []point) float64 {
	n := len(points) - 1
	if n < 1 {
		return 0
	}
	each := make([]float64, n)
	for i := range each {
		each[i] = (points[i+1].produced - points[i].produced) / points[i+1].at.Sub(points[i].at).Seconds()
	}
	slices.Sort(each)
	return each[(n-1)/2]
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
