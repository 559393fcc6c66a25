package pack

import corev1 "k8s.io/api/core/v1"

// event is a pod, or where it is nil a node, that came (1) or went (-1).
type event struct {
	pod  *Pod
	node *corev1.Node
	sign int
}

// events are what classes follow, each from where it has read to.
type events struct {
	list []event
	base uint64 // number of the first
	read uint64 // the furthest that any class has read to
}

// longest is how many events are kept for classes that may still follow; those that lag behind are made anew.
const longest = 1 << 17

func (e *events) end() uint64 { return e.base + uint64(len(e.list)) }

// add drops an event together with its opposite just before it, which trying and taking back leaves in masses.
func (e *events) add(x event) {
	if last := len(e.list) - 1; last >= 0 && e.read < e.end() {
		if l := e.list[last]; l.pod == x.pod && l.node == x.node && l.sign == -x.sign {
			e.list = e.list[:last]
			return
		}
	}
	e.list = append(e.list, x)
}

// after are the events from number n on; not ok is that they are no longer known.
func (e *events) after(n uint64) (list []event, ok bool) {
	if n < e.base {
		return nil, false
	}
	return e.list[n-e.base:], true
}

func (e *events) seen() uint64 {
	e.read = e.end()
	return e.read
}

func (e *events) shorten() {
	if len(e.list) > longest {
		e.base, e.list = e.end(), nil
	}
}
