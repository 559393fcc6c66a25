package ledger

import "sync"

// followers are told of entries as they are written.
type followers struct {
	following sync.Mutex
	all       []func(Entry)
}

// Follow has f called with every entry from now on, written or not. It is called by whoever appends, so that it must not wait.
func (s *followers) Follow(f func(Entry)) {
	s.following.Lock()
	defer s.following.Unlock()
	s.all = append(s.all, f)
}

func (s *followers) tell(e Entry) {
	s.following.Lock()
	all := s.all
	s.following.Unlock()
	for _, f := range all {
		f(e)
	}
}
