// Package prometheus starts a real Prometheus with a past of one's own, for tests.
package prometheus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"swell/bench/testbed/process"
)

// Options of a Server.
type Options struct {
	// Dir is where it keeps its data; it must exist.
	Dir string
	// Past in OpenMetrics text, "# EOF" at its end; empty is none.
	Past string
	// Config is its configuration file; empty is one that scrapes nothing.
	Config string
	// WebConfig is its web configuration file, as for passwords; empty is none.
	WebConfig string
	// Flags are added to the command line.
	Flags []string
}

// Server is a running Prometheus.
type Server struct {
	process *process.Process
	url     string
}

// ErrMissing says that the programs are not installed.
var ErrMissing = errors.New("prometheus and promtool are not installed: apt-get install prometheus")

// T is what ForTest needs of testing.TB.
type T interface {
	Helper()
	Fatal(args ...any)
	Skip(args ...any)
	Cleanup(func())
	TempDir() string
	Context() context.Context
}

// ForTest is a server that ends with the test. Where the programs are missing the test is skipped, or fails if SWELL_REQUIRE
// has prometheus.
func ForTest(t T, o Options) *Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := Start(context.WithoutCancel(t.Context()), o)
	if errors.Is(err, ErrMissing) {
		for word := range strings.SplitSeq(os.Getenv("SWELL_REQUIRE"), ",") {
			if strings.TrimSpace(word) == "prometheus" {
				t.Fatal(err)
			}
		}
		t.Skip("skipped: " + err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Start fills a data folder by promtool and starts a server on it.
func Start(ctx context.Context, o Options) (*Server, error) {
	server, err := exec.LookPath("prometheus")
	tool, err2 := exec.LookPath("promtool")
	if err != nil || err2 != nil {
		return nil, ErrMissing
	}
	data := filepath.Join(o.Dir, "data")
	if o.Past != "" {
		if err := fill(ctx, tool, o.Dir, data, o.Past); err != nil {
			return nil, err
		}
	}
	config := filepath.Join(o.Dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte(cmp.Or(o.Config, "global: {scrape_interval: 1h}\n")), 0o600); err != nil {
		return nil, fmt.Errorf("starting Prometheus: %w", err)
	}
	port, err := process.FreePorts(1)
	if err != nil {
		return nil, err
	}
	address := "127.0.0.1:" + strconv.Itoa(port)
	args := append([]string{"--config.file=" + config, "--storage.tsdb.path=" + data, "--storage.tsdb.retention.time=10y", "--web.listen-address=" + address}, o.Flags...)
	if o.WebConfig != "" {
		web := filepath.Join(o.Dir, "web.yml")
		if err := os.WriteFile(web, []byte(o.WebConfig), 0o600); err != nil {
			return nil, fmt.Errorf("starting Prometheus: %w", err)
		}
		args = append(args, "--web.config.file="+web)
	}
	p, err := process.Start(ctx, process.Spec{Name: "prometheus", Path: server, Args: args, Dir: o.Dir, Log: filepath.Join(o.Dir, "prometheus.log")})
	if err != nil {
		return nil, err
	}
	s := &Server{p, "http://" + address}
	if err := s.ready(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func fill(ctx context.Context, tool, dir, data, past string) error {
	text := filepath.Join(dir, "past.txt")
	if err := os.WriteFile(text, []byte(past), 0o600); err != nil {
		return fmt.Errorf("filling Prometheus: %w", err)
	}
	out, err := exec.CommandContext(ctx, tool, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=1440h", text, data).CombinedOutput()
	if err != nil {
		return fmt.Errorf("filling Prometheus: %w: %s", err, out)
	}
	return nil
}

func (s *Server) ready(ctx context.Context) error {
	deadline := time.Now().Add(time.Minute)
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/-/ready", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			response.Body.Close()
			// one that asks for a password is ready to
			if response.StatusCode == http.StatusOK || response.StatusCode == http.StatusUnauthorized {
				return nil
			}
		}
		select {
		case <-s.process.Done():
			return fmt.Errorf("starting Prometheus: it ended: %w", s.process.Wait())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("starting Prometheus: not ready within a minute: %v", err)
		}
	}
}

// URL of its API, without /api/v1.
func (s *Server) URL() string { return s.url }

// Stop ends it.
func (s *Server) Stop() { s.process.Stop() }
