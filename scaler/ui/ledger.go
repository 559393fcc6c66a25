package ui

import (
	"net/http"
	"time"
)

// ledger sends a copy of the ledger of this replica, one reader at a time: it may be gigabytes.
func (s *Server) ledger(w http.ResponseWriter, r *http.Request) {
	if s.options.Archive == nil {
		http.Error(w, "404: this scaler keeps no ledger", http.StatusNotFound)
		return
	}
	if !s.copying.TryLock() {
		w.Header().Set("Retry-After", "30")
		http.Error(w, "429: somebody is copying the ledger; ask again in half a minute", http.StatusTooManyRequests)
		return
	}
	defer s.copying.Unlock()
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Swell-Replica", s.options.Replica)
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // what the whole server allows for one request is not meant for this one
	if err := s.options.Archive(&patient{w, control}); err != nil {
		if r.Context().Err() == nil {
			s.options.Log.Error("a copy of the ledger broke off", "error", err)
		}
		panic(http.ErrAbortHandler) // the reader must not take half of it for the whole
	}
}

// patient gives a reader writeWithin for each part.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (p *patient) Write(part []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return 0, err
	}
	return p.ResponseWriter.Write(part)
}
