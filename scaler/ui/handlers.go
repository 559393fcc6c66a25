package ui

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"
)

// policy lets a page load its own files and nothing else, be framed by nobody and send nothing elsewhere.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler answers everything, behind the API server's word on who asks; Start serves it.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.whole)
	mux.HandleFunc("GET /events", s.stream)
	mux.HandleFunc("GET /api/state.json", s.stateJSON)
	mux.HandleFunc("GET /api/decisions.json", s.decisionsJSON)
	mux.HandleFunc("GET /api/ledger.tar", s.ledger)
	for name, kind := range map[string]string{"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		text, err := files.ReadFile(name)
		if err != nil {
			panic(err) // it is compiled in
		}
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, _ *http.Request) { answer(w, kind, text) })
	}
	guarded := s.guard(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, 0)
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(askWithin))
		guarded.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, kind string, text []byte) {
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(text)
}

func (s *Server) whole(w http.ResponseWriter, _ *http.Request) {
	page, err := s.page()
	if err != nil {
		s.fail(w, err)
		return
	}
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, "page.html", page.view); err != nil {
		s.fail(w, err)
		return
	}
	answer(w, "text/html; charset=utf-8", out.Bytes())
}

func (s *Server) fail(w http.ResponseWriter, err error) {
	s.options.Log.Error("the page", "error", err)
	http.Error(w, "500: the page could not be made; the scaler's log says why", http.StatusInternalServerError)
}

// Absent is what /api/state.json answers, with 503, while there is no state.
type Absent struct {
	Error string `json:"error"`
	// Leader is who has one; empty is unknown.
	Leader string `json:"leader,omitempty"`
}

func (s *Server) stateJSON(w http.ResponseWriter, _ *http.Request) {
	shown := s.shown()
	if shown.State == nil {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		missing := Absent{Error: "this replica stands by; ask the leader", Leader: shown.Leader}
		if shown.Leads {
			missing = Absent{Error: "no plan was made yet; ask again", Leader: s.options.Replica}
		}
		_ = json.NewEncoder(w).Encode(missing)
		return
	}
	s.json(w, shown.State)
}

func (s *Server) decisionsJSON(w http.ResponseWriter, _ *http.Request) {
	list := s.decisions.all()
	if list == nil {
		list = []Decision{}
	}
	s.json(w, map[string]any{"decisions": list})
}

func (s *Server) json(w http.ResponseWriter, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		s.fail(w, err)
		return
	}
	answer(w, "application/json", append(raw, '\n'))
}
