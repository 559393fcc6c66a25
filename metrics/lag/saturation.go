package lag

import "fmt"

const (
	// morePods is the rise of the ready pods, as a factor, from which more pods should show.
	morePods = 1.2
	// helping is the share of its own that an added pod must read at least to count as help: what a group reads is known by its
	// commits, which come now in one poll and now in the next.
	helping = 0.25
)

// saturation tells whether more pods still help while one backlog drains. What the pods write to may take no
// more: a still larger group would only press it harder, and what its pods read would be learned as their μ.
type saturation struct {
	// pods read consume in the stretch that later ones are held against: the last one in which the group read more
	// than before, or had fewer pods.
	pods    int
	consume float64
	why     string
}

// observe takes in what a number of pods, as many as have partitions and the same for a whole window, read
// from a backlog.
func (s *saturation) observe(pods int, consume float64) {
	more := float64(pods)/float64(s.pods) - 1
	if s.pods == 0 || pods <= s.pods || consume >= s.consume*(1+helping*more) {
		*s = saturation{pods: pods, consume: consume}
		return
	}
	s.why = ""
	if float64(pods) >= float64(s.pods)*morePods {
		s.why = fmt.Sprintf("more pods stopped helping: %d pods read %.4g/s, %d pods %.4g/s", s.pods, s.consume, pods, consume)
	}
}
