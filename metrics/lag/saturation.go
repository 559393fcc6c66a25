package lag

import "fmt"

const (
	// morePods is the rise of the ready pods, as a factor, from which more pods should show.
	morePods = 1.2
	// helping is the share of its own that an added pod must read at least to count as help: what a group reads is known by its
	// commits, which come now in one poll and now in the next.
	helping = 0.25
	// relieved is that share where more pods did not help before: what they write to takes more than it did.
	relieved = 0.5
)

// Stretch is what so many pods read from a backlog, in messages a second.
type Stretch struct {
	Pods    int
	Consume float64
}

func (s Stretch) told() bool { return s.Pods > 0 && s.Consume > 0 }

// saturation tells whether more pods still help while one backlog drains. What the pods write to may take no
// more: a still larger group would only press it harder, and what its pods read would be learned as their μ.
type saturation struct {
	// Stretch is the one that later ones are held against: the last one in which the group read more than
	// before, or had fewer pods.
	Stretch
	why string
	// followed says that why is the leader's word, and goes with it.
	followed bool
}

// resume goes on from a stretch of which another run or replica knew that more pods do not help.
func (s *saturation) resume(from Stretch) {
	if from.told() {
		*s = saturation{Stretch: from, why: fmt.Sprintf("more pods stopped helping: %d pods read %.4g/s, and more read no more", from.Pods, from.Consume)}
	}
}

// follow takes the leader's word.
func (s *saturation) follow(k Known) {
	switch {
	case k.Saturated.told():
		s.resume(k.Saturated)
		s.followed = true
	case s.followed && k.Replicas > 0:
		s.why, s.followed = "", false
	}
}

// observe takes in what a number of pods, as many as have partitions and the same for a whole window, read
// from a backlog.
func (s *saturation) observe(pods int, consume float64) {
	more, needed := float64(pods)/float64(s.Pods)-1, helping
	if s.why != "" {
		needed = relieved // else the noise of one window would ask for more of what does not help
	}
	if s.Pods == 0 || pods <= s.Pods || consume >= s.Consume*(1+needed*more) {
		*s = saturation{Stretch: Stretch{Pods: pods, Consume: consume}}
		return
	}
	s.why, s.followed = "", false
	if float64(pods) >= float64(s.Pods)*morePods {
		s.why = fmt.Sprintf("more pods stopped helping: %d pods read %.4g/s, %d pods %.4g/s", s.Pods, s.Consume, pods, consume)
	}
}
