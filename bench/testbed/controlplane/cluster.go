package controlplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"swell/bench/testbed/process"
)

// Cluster is a running control plane.
type Cluster struct {
	options  Options
	ctx      context.Context
	log      *slog.Logger
	dir      string
	remove   func() error // removes dir; does nothing where it is kept
	url      string
	ca       *authority
	frontCA  *authority
	ports    ports
	failures chan process.Exit
	test     string // that started it; empty is none

	mu        sync.Mutex
	processes map[string]*process.Process
	order     []string
	stopped   bool
}

type ports struct{ etcd, etcdPeer, api, controllers, scheduler, kwok int }

// Start boots a control plane and waits until it is ready. The end of ctx ends its processes; Stop does so
// too and removes its folder. Should this program die, both happen all the same.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	options = options.withDefaults()
	if options.Binary == "" {
		binary, err := FindBinary()
		if err != nil {
			return nil, err
		}
		options.Binary = binary
	}
	c := &Cluster{
		options: options, ctx: ctx, log: slog.New(slog.NewTextHandler(options.Log, nil)),
		failures: make(chan process.Exit, 16), processes: map[string]*process.Process{}, test: runningTest(),
	}
	if err := c.makeDir(); err != nil {
		return nil, fmt.Errorf("booting the control plane: %w", err)
	}
	if err := c.boot(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("booting the control plane: %w", err), c.Stop())
	}
	return c, nil
}

func (c *Cluster) makeDir() (err error) {
	c.remove = func() error { return nil }
	switch {
	case c.options.Dir != "":
		if c.dir, err = filepath.Abs(c.options.Dir); err != nil {
			return err
		}
		entries, err := os.ReadDir(c.dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("reading %s: %w; give another Dir", c.dir, err)
		}
		if len(entries) > 0 {
			return fmt.Errorf("folder %s is not empty: give an empty one as Dir, or leave it out", c.dir)
		}
	case c.options.KeepDir:
		if c.dir, err = os.MkdirTemp("", "swell-testbed-"); err != nil {
			return fmt.Errorf("making a folder: %w; point TMPDIR to a writable one", err)
		}
	default:
		if c.dir, c.remove, err = process.TempDir("swell-testbed-"); err != nil {
			return err
		}
	}
	for _, sub := range []string{"pki", "logs", "kubeconfigs"} {
		if err := os.MkdirAll(filepath.Join(c.dir, sub), 0o755); err != nil {
			return fmt.Errorf("making a folder: %w; give a writable Dir", err)
		}
	}
	return nil
}

func (c *Cluster) boot(ctx context.Context) error {
	began := time.Now()
	first, err := process.FreePorts(6)
	if err != nil {
		return err
	}
	c.ports = ports{etcd: first, etcdPeer: first + 1, api: first + 2, controllers: first + 3, scheduler: first + 4, kwok: first + 5}
	c.url = fmt.Sprintf("https://127.0.0.1:%d", c.ports.api)
	files, err := c.writeFiles()
	if err != nil {
		return err
	}
	for _, part := range [][]component{
		{c.etcd(), c.apiServer(files)},
		{c.controllerManager(files), c.scheduler(files), c.kwok(files)},
	} {
		for _, one := range part {
			if err := c.start(one); err != nil {
				return err
			}
		}
		for _, one := range part {
			if err := c.await(ctx, one); err != nil {
				return err
			}
			c.log.Info("ready", "component", one.name, "pid", c.PIDs()[one.name], "after", time.Since(began).Round(time.Millisecond))
		}
	}
	return c.awaitControllers(ctx)
}

// start starts a component and watches it from then on.
func (c *Cluster) start(one component) error {
	p, err := process.Start(c.ctx, process.Spec{
		Name: one.name, Path: c.options.Binary, Argv0: one.name, Args: one.args, Dir: c.dir,
		Log: filepath.Join(c.dir, "logs", one.name+".log"),
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.processes[one.name] = p
	c.order = append(c.order, one.name)
	c.mu.Unlock()
	c.watch(p)
	return nil
}

func (c *Cluster) watch(p *process.Process) {
	done := p.Done()
	go func() {
		<-done
		exit := p.Wait()
		if exit.Asked {
			return
		}
		c.log.Error("component ended", "component", exit.Name, "pid", exit.PID, "err", exit.Err)
		select {
		case c.failures <- exit:
		default: // nobody listens; the first ones tell enough
		}
	}()
}

// Failures delivers the end of each component that nobody asked to end, with the last lines of its log.
func (c *Cluster) Failures() <-chan process.Exit { return c.failures }

// Restart starts a component again that has ended or was killed, and waits until it is ready. The names are
// those of PIDs.
func (c *Cluster) Restart(ctx context.Context, name string) error {
	p := c.Process(name)
	if p == nil {
		return fmt.Errorf("restarting %q: no such component; the names are %v", name, c.names())
	}
	if err := p.Restart(); err != nil {
		return err
	}
	c.watch(p)
	return c.WaitReady(ctx)
}

// Process is the handle of a component, for killing it; nil for an unknown name.
func (c *Cluster) Process(name string) *process.Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.processes[name]
}

// PIDs are the process ids by component: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok.
func (c *Cluster) PIDs() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	pids := make(map[string]int, len(c.processes))
	for name, p := range c.processes {
		pids[name] = p.PID()
	}
	return pids
}

func (c *Cluster) names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.order...)
}

// Dir is the folder of data, keys and logs.
func (c *Cluster) Dir() string { return c.dir }

// URL is the API server's address.
func (c *Cluster) URL() string { return c.url }

// AuditLog is the API server's audit log: JSON lines in one file, each written before its request is answered.
func (c *Cluster) AuditLog() string { return filepath.Join(c.dir, "logs", "audit.log") }

// LogFile is where a component's output goes.
func (c *Cluster) LogFile(name string) string { return filepath.Join(c.dir, "logs", name+".log") }

// CA is the certificate authority, in PEM, of the API server and of every client certificate.
func (c *Cluster) CA() []byte { return c.ca.pem }

// FrontProxyCA is the authority, in PEM, of the certificate that the API server shows to aggregated servers.
func (c *Cluster) FrontProxyCA() []byte { return c.frontCA.pem }

// Stop kills every component and removes the folder unless it is kept. Nothing is shut down gently: the
// store is thrown away, and the audit log has each answered request already. Stopping twice does nothing.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return nil
	}
	c.stopped = true
	var running []*process.Process
	for i := len(c.order) - 1; i >= 0; i-- {
		running = append(running, c.processes[c.order[i]])
	}
	c.mu.Unlock()
	for _, p := range running {
		p.Kill()
	}
	return errors.Join(c.keepRequests(), c.remove())
}
