// Package ship copies the closed files of a ledger to S3.
package ship

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"swell/api/config"
	"swell/scaler/ledger"
)

const (
	// Every is how old a file becomes before it is closed to be copied; machine time.
	Every = time.Hour
	// look is how often it is looked for files to copy, and how long a copy that failed waits; machine time.
	look = time.Minute
	// putTimeout bounds one copy, and lastTimeout what is copied at the end; machine time.
	putTimeout  = 2 * time.Minute
	lastTimeout = 10 * time.Second
	// mostRefused are the files that S3 may refuse in one turn; the others wait for the next.
	mostRefused = 3
	// doneFile has the names of what was copied, a line each.
	doneFile = "shipped"
)

var (
	failures = prometheus.NewCounter(prometheus.CounterOpts{Name: "swell_ledger_ship_failures_total",
		Help: "Files of the ledger that could not be copied to S3; each is tried again every minute."})
	waiting = prometheus.NewGauge(prometheus.GaugeOpts{Name: "swell_ledger_unshipped_files",
		Help: "Closed files of the ledger that are not in S3 yet."})
)

func init() { metrics.Registry.MustRegister(failures, waiting) }

// Options of a Shipper.
type Options struct {
	Dir   string
	To    config.LedgerS3
	Clock config.Clock
	Log   *slog.Logger
}

// Shipper copies. Its methods may be called at once.
type Shipper struct {
	options Options
	client  *s3.Client

	turns   sync.Mutex
	failing string

	mu   sync.Mutex
	done map[string]bool
}

// New makes no call yet. What was copied before is read from the ledger's folder.
func New(ctx context.Context, o Options) (*Shipper, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	load := []func(*awsconfig.LoadOptions) error{awsconfig.WithRegion(o.To.Region)}
	if loopback(o.To.Endpoint) {
		load = append(load, awsconfig.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("local", "local", "")))
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("setting up copies of the ledger to %s: %w; check the credentials and the shared configuration files", o.To, err)
	}
	s := &Shipper{options: o, done: map[string]bool{}, client: s3.NewFromConfig(cfg, func(c *s3.Options) {
		if o.To.Endpoint != "" {
			c.BaseEndpoint, c.UsePathStyle = &o.To.Endpoint, true
		}
	})}
	return s, s.readDone()
}

// readDone takes what was copied before, or by another replica with the same folder.
func (s *Shipper) readDone() error {
	raw, err := os.ReadFile(filepath.Join(s.options.Dir, doneFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading what of the ledger was copied: %w; let swell-scaler read it", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range strings.FieldsSeq(string(raw)) {
		s.done[name] = true
	}
	return nil
}

func loopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil || endpoint == "" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// Done says that a file, by its name without .gz, is in S3.
func (s *Shipper) Done(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done[name]
}

// Run copies what is closed, and closes the ledger's file every hour, until ctx ends.
func (s *Shipper) Run(ctx context.Context, l *ledger.Ledger) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		s.turn(ctx, l, Every)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Last closes the ledger's file and copies what is left of it, for a short while.
func (s *Shipper) Last(l *ledger.Ledger) {
	ctx, cancel := context.WithTimeout(context.Background(), lastTimeout)
	defer cancel()
	s.turn(ctx, l, 0)
}

func (s *Shipper) turn(ctx context.Context, l *ledger.Ledger, age time.Duration) {
	s.turns.Lock()
	defer s.turns.Unlock()
	now := time.Now()
	err := l.Rotate(now, s.options.Clock.At(now), age)
	s.tell(ctx, errors.Join(err, s.Ship(ctx)))
}

// tell logs that copies fail, for another reason than before, or are made again.
func (s *Shipper) tell(ctx context.Context, err error) {
	switch {
	case err != nil && ctx.Err() == nil && kind(err) != s.failing:
		s.failing = kind(err)
		s.options.Log.Error("ledger: it is tried again every minute, and nothing is deleted for its age until it is copied", "error", err)
	case err == nil && s.failing != "":
		s.failing = ""
		s.options.Log.Info("ledger: copied again", "to", s.options.To.String())
	}
}

// Ship copies the closed files that are not in S3 yet, oldest first. One that fails does not hold up the others, unless S3 refuses one
// after another.
func (s *Shipper) Ship(ctx context.Context) error {
	list, err := ledger.ClosedIn(s.options.Dir)
	if err != nil {
		return err
	}
	errs := []error{s.readDone()}
	there, left, refused := map[string]bool{}, 0, 0
	for _, c := range list {
		there[c.Name] = true
		if s.Done(c.Name) {
			continue
		}
		if refused >= mostRefused {
			left++
			continue
		}
		err := s.put(ctx, c)
		if errors.Is(err, fs.ErrNotExist) {
			continue // dropped meanwhile
		}
		var answer *s3Error
		if errors.As(err, &answer) {
			refused++
		}
		if err == nil {
			err = s.note(c.Name, there)
		}
		if err != nil {
			left++
			failures.Inc()
			errs = append(errs, err)
		}
	}
	waiting.Set(float64(left))
	return errors.Join(errs...)
}

// put copies one file to PREFIX/CHAIN/NAME.jsonl.gz; again it is the same object.
func (s *Shipper) put(ctx context.Context, c ledger.Closed) error {
	chain, err := c.Chain()
	if err != nil {
		return err
	}
	body, err := c.Packed()
	if err != nil {
		return fmt.Errorf("copying the ledger: %w", err)
	}
	defer body.Close()
	call, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	key := path.Join(s.options.To.Prefix, chain, c.Name+".gz")
	_, err = s.client.PutObject(call, &s3.PutObjectInput{Bucket: &s.options.To.Bucket, Key: &key, Body: body, ContentType: awssdk.String("application/gzip")})
	if err != nil {
		return &s3Error{of: err, told: fmt.Sprintf("copying the ledger's %s to s3://%s/%s: %v; allow s3:PutObject there, and see that the bucket is in %s", c.Name, s.options.To.Bucket, key, err, s.options.To.Region)}
	}
	return nil
}

// s3Error is that S3 did not take a file.
type s3Error struct {
	of   error
	told string
}

func (e *s3Error) Error() string { return e.told }
func (e *s3Error) Unwrap() error { return e.of }

// kind of an error, without what is another at each call, such as the id of a request.
func kind(err error) string {
	var code smithy.APIError
	if errors.As(err, &code) {
		return code.ErrorCode()
	}
	var s3 *s3Error
	if errors.As(err, &s3) {
		return "no answer of S3"
	}
	return err.Error()
}

// note keeps that a file was copied, with the others that are there.
func (s *Shipper) note(name string, there map[string]bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[name] = true
	var names []string
	for n := range s.done {
		if there[n] || n > name {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	file := filepath.Join(s.options.Dir, doneFile)
	temporary, err := os.CreateTemp(s.options.Dir, doneFile+"-*.tmp") // another replica may write its own
	if err == nil {
		_, err = temporary.WriteString(strings.Join(names, "\n") + "\n")
		if err = errors.Join(err, temporary.Close()); err == nil {
			err = os.Rename(temporary.Name(), file)
		}
		if err != nil {
			os.Remove(temporary.Name())
		}
	}
	if err != nil {
		return fmt.Errorf("noting what of the ledger was copied: %w; it is copied again after a restart", err)
	}
	return nil
}
