// Package process starts the parts of a testbed as child processes, watches them, and leaves none behind
// whatever way the parent ends. It needs Linux.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Spec says how one process is started; Restart uses it again unchanged.
type Spec struct {
	// Name is what errors and tables call the process.
	Name string
	// Path is the program's file.
	Path string
	// Argv0 is what the program sees as its own name; a multi-call binary picks its part by it. Default: Path.
	Argv0 string
	// Args are the arguments after the name.
	Args []string
	// Env is the whole environment, "KEY=value" each. Default: the parent's.
	Env []string
	// Dir is the working directory. Default: the parent's.
	Dir string
	// Log is the file that standard output and standard error are appended to.
	Log string
	// Grace is how long Stop waits between SIGTERM and SIGKILL. Default: 5 s.
	Grace time.Duration
}

// Validate reports a Spec that cannot be started.
func (s Spec) Validate() error {
	switch {
	case s.Name == "":
		return errors.New("process.Spec.Name is empty: give each process a name")
	case s.Path == "":
		return fmt.Errorf("process.Spec.Path of %s is empty: give the program's file", s.Name)
	case s.Log == "":
		return fmt.Errorf("process.Spec.Log of %s is empty: give a file for its output", s.Name)
	case s.Grace < 0:
		return fmt.Errorf("process.Spec.Grace of %s is %s: give a positive duration, or leave it out", s.Name, s.Grace)
	}
	return nil
}

func (s Spec) withDefaults() Spec {
	if s.Argv0 == "" {
		s.Argv0 = s.Path
	}
	if s.Grace == 0 {
		s.Grace = 5 * time.Second
	}
	return s
}

// Exit is how one run of a process ended.
type Exit struct {
	Name string
	PID  int
	At   time.Time
	// Asked is true where Stop, Kill or the end of the context ended it.
	Asked bool
	// Err is what waiting returned; nil is exit code 0.
	Err error
	// LogFile and LogTail are where its output went and the last lines of it.
	LogFile string
	LogTail string
}

// Error tells the reason with the last lines of the log.
func (e Exit) Error() string {
	reason := "exit status 0"
	if e.Err != nil {
		reason = e.Err.Error()
	}
	return fmt.Sprintf("%s (pid %d) ended: %s; last lines of %s:\n%s", e.Name, e.PID, reason, e.LogFile, e.LogTail)
}

// Process is the handle of one child; it stays the same over restarts.
type Process struct {
	ctx  context.Context
	spec Spec

	mu  sync.Mutex
	run *run
}

// run is one life of a process.
type run struct {
	pid  int
	proc *os.Process
	done chan struct{}

	mu    sync.Mutex
	asked bool
	exit  Exit // valid once done is closed
}

// Start starts a process. When ctx ends the process is stopped as by Stop. Should the parent die first,
// by whatever cause, the process and all of its process group are killed.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	p := &Process{ctx: ctx, spec: spec.withDefaults()}
	if err := p.Restart(); err != nil {
		return nil, err
	}
	return p, nil
}

// Restart starts the process again with the same Spec. It refuses while the last run is alive.
func (p *Process) Restart() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ctx.Err(); err != nil {
		return fmt.Errorf("starting %s: its context has ended (%w); start a new process", p.spec.Name, err)
	}
	if p.run != nil {
		select {
		case <-p.run.done:
		default:
			return fmt.Errorf("starting %s: pid %d still runs; Stop or Kill it first", p.spec.Name, p.run.pid)
		}
	}
	r, err := p.spec.start()
	if err != nil {
		return err
	}
	p.run = r
	go func() {
		select {
		case <-p.ctx.Done():
			r.stop(p.spec.Grace)
		case <-r.done:
		}
	}()
	return nil
}

// Name is the name given in the Spec.
func (p *Process) Name() string { return p.spec.Name }

// PID is the process id of the present or last run.
func (p *Process) PID() int { return p.current().pid }

// Done is closed when the present run has ended and was waited for.
func (p *Process) Done() <-chan struct{} { return p.current().done }

// Wait waits for the end of the present run.
func (p *Process) Wait() Exit {
	r := p.current()
	<-r.done
	return r.exit
}

// Kill sends SIGKILL to the process, by its id, and waits until it is gone.
func (p *Process) Kill() Exit {
	r := p.current()
	r.signal(syscall.SIGKILL)
	<-r.done
	return r.exit
}

// Stop sends SIGTERM, then SIGKILL after the grace, and waits until the process is gone. Stopping what has
// ended already does nothing.
func (p *Process) Stop() Exit {
	r := p.current()
	r.stop(p.spec.Grace)
	return r.exit
}

func (p *Process) current() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run
}

func (r *run) stop(grace time.Duration) {
	r.signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-r.done:
		return
	case <-timer.C:
	}
	r.signal(syscall.SIGKILL)
	<-r.done
}

// signal does nothing to what has been waited for, whose id may be another's by now.
func (r *run) signal(sig syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.done:
		return
	default:
	}
	r.asked = true
	_ = r.proc.Signal(sig) // fails only for what is gone
}

func (s Spec) start() (*run, error) {
	if err := os.MkdirAll(filepath.Dir(s.Log), 0o755); err != nil {
		return nil, fmt.Errorf("starting %s: making the folder of its log: %w; give a writable Log", s.Name, err)
	}
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("starting %s: opening its log: %w; give a writable Log", s.Name, err)
	}
	defer log.Close()
	cmd := &exec.Cmd{
		Path: s.Path, Args: append([]string{s.Argv0}, s.Args...), Env: s.Env, Dir: s.Dir, Stdout: log, Stderr: log,
		// an own group keeps the terminal's Ctrl-C for the parent, which then stops its children in order
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	if err := theReaper.ensure(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.Name, err)
	}
	if err := onForkThread(cmd.Start); err != nil {
		return nil, fmt.Errorf("starting %s: %w; check that %s is there and may be executed", s.Name, err, s.Path)
	}
	r := &run{pid: cmd.Process.Pid, proc: cmd.Process, done: make(chan struct{})}
	if err := theReaper.addProcess(r.pid); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fmt.Errorf("starting %s: %w", s.Name, err)
	}
	go s.wait(cmd, r)
	return r, nil
}

func (s Spec) wait(cmd *exec.Cmd, r *run) {
	err := cmd.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = syscall.Kill(-r.pid, syscall.SIGKILL) // what it started and left
	theReaper.forgetProcess(r.pid)
	r.exit = Exit{Name: s.Name, PID: r.pid, At: time.Now(), Asked: r.asked, Err: err, LogFile: s.Log, LogTail: tail(s.Log, 12)}
	close(r.done)
}

// The kernel sends the parent-death signal when the thread that forked ends, not the whole process, so one
// thread that never ends does all the forking.
var forkThread = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

func onForkThread(f func() error) error {
	result := make(chan error, 1)
	forkThread() <- func() { result <- f() }
	return <-result
}
