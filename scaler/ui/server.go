package ui

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/cert"

	"swell/api/config"
	"swell/scaler/ledger"
)

// LeaseName is the Lease that the scalers of a cluster hold in turn.
const LeaseName = "swell-scaler"

const (
	// leaderEvery is how often a replica that does not lead looks who does; machine time.
	leaderEvery = 5 * time.Second
	// renderEvery is how long one rendering of the same state serves all readers; machine time.
	renderEvery = 500 * time.Millisecond
)

// Options of a Server.
type Options struct {
	Page  config.Page
	Clock config.Clock
	// Kube is asked who a reader is and what he may, and who leads. It should have a rate limit of its own.
	Kube kubernetes.Interface
	// Namespace of the Lease; empty is that this replica always leads.
	Namespace string
	// Replica is this pod or host.
	Replica string
	// Elected is closed when this replica leads; nil is from the start.
	Elected <-chan struct{}
	// Archive writes a copy of this replica's ledger; nil is that there is none.
	Archive func(io.Writer) error
	Log     *slog.Logger
}

// Server is the page. Show and Decided are the loop's side and never wait for a reader.
type Server struct {
	options   Options
	access    *access
	state     atomic.Pointer[State]
	leader    atomic.Pointer[string] // who leads by the Lease
	decisions decisions
	streams   streams

	copying   sync.Mutex // held while a copy of the ledger is sent
	rendering sync.Mutex
	last      *rendered
}

// New makes a Server that serves from Start on. Entries are the ledger's until now, oldest first.
func New(o Options, entries []ledger.Entry) *Server {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &Server{options: o, streams: newStreams()}
	for _, e := range entries {
		s.decisions.add(e)
	}
	return s
}

// Show makes s what readers see; nobody may change it any more.
func (s *Server) Show(state State) {
	s.state.Store(&state)
	s.streams.wake()
}

// Decided adds an entry of the ledger.
func (s *Server) Decided(e ledger.Entry) {
	if s.decisions.add(e) {
		s.streams.wake()
	}
}

// NeedLeaderElection says that every replica serves.
func (s *Server) NeedLeaderElection() bool { return false }

// Start serves until ctx ends. The page's own troubles never end the scaler: they are logged, and tried again.
func (s *Server) Start(ctx context.Context) error {
	go s.followLeader(ctx)
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		err := s.serve(ctx)
		if ctx.Err() != nil {
			return nil
		}
		s.options.Log.Error("the page is not served; it is tried again", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

func (s *Server) serve(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.access, err = newAccess(ctx, s.options.Kube, s.options.Log); err != nil {
		return err
	}
	secure, err := s.tls(ctx)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.options.Page.Bind)
	if err != nil {
		return fmt.Errorf("serving the page: %w; give page.bind an address that is free", err)
	}
	server := &http.Server{
		Handler: s.Handler(), TLSConfig: secure, ErrorLog: slog.NewLogLogger(s.options.Log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: askWithin, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	// a connection carries one request at a time, so that bounding connections bounds all
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	defer server.Close() // connections too, when it could not accept more
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	s.options.Log.Info("the page is served", "address", listener.Addr().String())
	if err := server.ServeTLS(bounded(listener), "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the page: %w", err)
	}
	return nil
}

// tls is what it is served with: the files of the configuration, read again when they change, or a certificate of its own.
func (s *Server) tls(ctx context.Context) (*tls.Config, error) {
	var pair dynamiccertificates.CertKeyContentProvider
	p := s.options.Page
	if p.CertFile != "" {
		files, err := dynamiccertificates.NewDynamicServingContentFromFiles("page", p.CertFile, p.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the page's certificate: %w; see page.certFile and page.keyFile", err)
		}
		go files.Run(ctx, 1)
		pair = files
	} else {
		c, key, err := cert.GenerateSelfSignedCertKey(s.options.Replica, []net.IP{net.IPv4(127, 0, 0, 1)}, []string{"localhost"})
		if err != nil {
			return nil, fmt.Errorf("making the page's certificate: %w", err)
		}
		if pair, err = dynamiccertificates.NewStaticCertKeyContent("page", c, key); err != nil {
			return nil, fmt.Errorf("making the page's certificate: %w", err)
		}
	}
	// a certificate of the reader's is asked for and judged by the authenticator; a token may come in its place
	base := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, ClientAuth: tls.RequestClientCert}
	controller := dynamiccertificates.NewDynamicServingCertificateController(base, nil, pair, nil, nil)
	pair.AddListener(controller)
	if err := controller.RunOnce(); err != nil {
		return nil, fmt.Errorf("preparing the page's TLS: %w", err)
	}
	go controller.Run(1, ctx.Done())
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetConfigForClient: controller.GetConfigForClient}, nil
}

// leads says whether this replica leads.
func (s *Server) leads() bool {
	if s.options.Elected == nil {
		return true
	}
	select {
	case <-s.options.Elected:
		return true
	default:
		return false
	}
}

// followLeader reads who leads until this replica does.
func (s *Server) followLeader(ctx context.Context) {
	if s.options.Namespace == "" || s.options.Elected == nil {
		return
	}
	for {
		call, cancel := context.WithTimeout(ctx, leaderEvery)
		lease, err := s.options.Kube.CoordinationV1().Leases(s.options.Namespace).Get(call, LeaseName, metav1.GetOptions{})
		cancel()
		if err == nil && lease.Spec.HolderIdentity != nil {
			name := PodOf(*lease.Spec.HolderIdentity)
			s.leader.Store(&name)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.options.Elected:
			return
		case <-time.After(leaderEvery):
		}
	}
}

// PodOf is the pod, or host, of a Lease's holder.
func PodOf(holder string) string {
	name, _, _ := strings.Cut(holder, "_")
	return name
}

// shown is what this replica knows now.
func (s *Server) shown() Shown {
	out := Shown{State: s.state.Load(), Leads: s.leads(), Replica: s.options.Replica, Decisions: s.decisions.all()}
	if l := s.leader.Load(); l != nil {
		out.Leader = *l
	}
	return out
}

// page renders what is shown, once for all readers.
func (s *Server) page() (*rendered, error) {
	s.rendering.Lock()
	defer s.rendering.Unlock()
	at := time.Now()
	now := s.shown()
	if r := s.last; r != nil && at.Sub(r.at) < renderEvery && r.shown.State == now.State && r.shown.Leads == now.Leads && r.shown.Leader == now.Leader {
		return r, nil
	}
	r, err := render(s.options.Clock.At(at), now)
	if err != nil {
		return nil, err
	}
	r.at = at
	s.last = r
	return r, nil
}
