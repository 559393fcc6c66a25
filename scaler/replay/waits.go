package replay

import "slices"

// pods are a workload's: running, or waiting since some time. What is demanded and not running waits.
type pods struct {
	running int
	waiting []stamped // by the time since when, oldest first; v is how many
	queued  int

	demanded, unserved float64 // pod-seconds
	waits              map[int64]int
}

// step sets the demand and the capacity from now on, for some seconds.
func (p *pods) step(now int64, demand, capacity int, seconds int64) {
	if more := demand - p.running - p.queued; more > 0 {
		p.wait(now, more)
	} else {
		less := -more
		less -= p.dismiss(now, less)
		p.running -= less
	}
	if lost := p.running - capacity; lost > 0 {
		p.running -= lost
		p.wait(now, lost)
	}
	p.start(now, capacity-p.running)
	p.demanded += float64(demand) * float64(seconds)
	p.unserved += float64(p.queued) * float64(seconds)
}

func (p *pods) wait(now int64, n int) {
	p.waiting = append(p.waiting, stamped{now, n})
	p.queued += n
}

// start gives room to the pods that wait longest.
func (p *pods) start(now int64, room int) {
	for room > 0 && len(p.waiting) > 0 {
		w := &p.waiting[0]
		n := min(room, w.v)
		p.count(now-w.at, n)
		room, w.v = room-n, w.v-n
		p.running, p.queued = p.running+n, p.queued-n
		if w.v == 0 {
			p.waiting = p.waiting[1:]
		}
	}
}

// dismiss takes away up to n pods that wait, the newest first: what a ReplicaSet deletes first. They count with the wait
// they had.
func (p *pods) dismiss(now int64, n int) (gone int) {
	for gone < n && len(p.waiting) > 0 {
		w := &p.waiting[len(p.waiting)-1]
		k := min(n-gone, w.v)
		p.count(now-w.at, k)
		w.v, gone, p.queued = w.v-k, gone+k, p.queued-k
		if w.v == 0 {
			p.waiting = p.waiting[:len(p.waiting)-1]
		}
	}
	return gone
}

func (p *pods) count(wait int64, n int) {
	if p.waits == nil {
		p.waits = map[int64]int{}
	}
	p.waits[wait] += n
}

// join adds what others' pods saw.
func (p *pods) join(o *pods) {
	p.demanded, p.unserved = p.demanded+o.demanded, p.unserved+o.unserved
	for w, n := range o.waits {
		p.count(w, n)
	}
}

// quantile of the waits of all pods that were started or given up, in seconds.
func (p *pods) quantile(q float64) float64 {
	total := 0
	lengths := make([]int64, 0, len(p.waits))
	for w, n := range p.waits {
		total += n
		lengths = append(lengths, w)
	}
	slices.Sort(lengths)
	need, below := q*float64(total), 0
	for _, w := range lengths {
		if below += p.waits[w]; float64(below) >= need {
			return float64(w)
		}
	}
	return 0
}
