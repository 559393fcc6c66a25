package ui

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// mostStreams at once, and mostOfOne of one user.
	mostStreams = 64
	mostOfOne   = 8
	// streamFor is how long one lasts: the next one is asked anew who it is for, so that a right that is taken away ends.
	streamFor = 5 * time.Minute
	// beatEvery is how often ages are renewed although nothing was planned.
	beatEvery = 5 * time.Second
	// pauseBetween two answers of one stream.
	pauseBetween = 250 * time.Millisecond
	// writeWithin is how long a reader may take for what is written; slower, he is dropped and may come again.
	writeWithin = 10 * time.Second
)

// streams are the readers that wait for news.
type streams struct {
	mu    *sync.Mutex
	waits map[chan struct{}]string // of whom
}

func newStreams() streams { return streams{mu: &sync.Mutex{}, waits: map[chan struct{}]string{}} }

// wake tells all that there is something new, and waits for none.
func (s streams) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.waits {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// take gives a place; false is that there is none.
func (s streams) take(user string) (chan struct{}, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := 0
	for _, u := range s.waits {
		if u == user {
			own++
		}
	}
	if len(s.waits) >= mostStreams || own >= mostOfOne {
		return nil, false
	}
	c := make(chan struct{}, 1)
	s.waits[c] = user
	return c, true
}

func (s streams) leave(c chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waits, c)
}

// stream sends the parts of the page as they change, and decisions after the one that the reader has seen.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	news, ok := s.streams.take(userOf(r))
	if !ok {
		w.Header().Set("Retry-After", "30")
		http.Error(w, fmt.Sprintf("503: %d streams are open, or %d of yours; close a page or try again", mostStreams, mostOfOne), http.StatusServiceUnavailable)
		return
	}
	defer s.streams.leave(news)
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	out := feed{w: w, control: http.NewResponseController(w), sent: map[string]*string{}, after: r.Header.Get("Last-Event-ID")}
	// what the whole server allows for one answer is not meant for this one
	_ = out.control.SetReadDeadline(time.Time{})
	end, beat := time.NewTimer(streamFor), time.NewTicker(beatEvery)
	defer end.Stop()
	defer beat.Stop()
	for {
		if err := out.send(s); err != nil {
			return
		}
		select { // what comes meanwhile is sent together
		case <-r.Context().Done():
			return
		case <-time.After(pauseBetween):
		}
		select {
		case <-r.Context().Done():
			return
		case <-end.C:
			return
		case <-news:
		case <-beat.C:
		}
	}
}

// feed is one reader's stream.
type feed struct {
	w       http.ResponseWriter
	control *http.ResponseController
	sent    map[string]*string // the parts that it has
	after   string             // the id of its newest decision
}

func (f *feed) send(s *Server) error {
	page, err := s.page()
	if err != nil {
		s.options.Log.Error("the page", "error", err)
		return err
	}
	if err := f.control.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	for _, name := range parts {
		if text, old := page.parts[name], f.sent[name]; old == nil || *old != text { // what the page was made with is not known
			if err := f.event("part", "", map[string]string{"part": name, "html": text}); err != nil {
				return err
			}
			f.sent[name] = &text
		}
	}
	list, whole := s.decisions.after(f.after)
	if whole {
		if err := f.event("restart", "", map[string]string{}); err != nil {
			return err
		}
	}
	for _, d := range list {
		text, err := part("decision", d)
		if err != nil {
			return err
		}
		if err := f.event("decision", strconv.FormatInt(d.ID, 10), map[string]string{"html": text, "said": d.Action + " " + d.Object}); err != nil {
			return err
		}
		f.after = strconv.FormatInt(d.ID, 10)
	}
	if _, err := f.w.Write([]byte(": beat\n\n")); err != nil {
		return err
	}
	return f.control.Flush()
}

func (f *feed) event(kind, id string, data any) error {
	raw, err := json.Marshal(data) // without a line break
	if err != nil {
		return err
	}
	if id != "" {
		id = "id: " + id + "\n"
	}
	_, err = fmt.Fprintf(f.w, "event: %s\n%sdata: %s\n\n", kind, id, raw)
	return err
}
