package ledger

import "sync"

// watchers are told of entries as they are written.
type watchers struct {
	watching sync.Mutex
	all      []func(Entry)
}

// Watch has f called with every entry from now on, written or not. It is called by whoever appends, so that it must not wait.
func (s *watchers) Watch(f func(Entry)) {
	s.watching.Lock()
	defer s.watching.Unlock()
	s.all = append(s.all, f)
}

func (s *watchers) tell(e Entry) {
	s.watching.Lock()
	all := s.all
	s.watching.Unlock()
	for _, f := range all {
		f(e)
	}
}
