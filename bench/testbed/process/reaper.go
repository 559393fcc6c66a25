package process

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A reaper is a copy of the running program that does nothing but hold the reading end of a pipe. Every way
// for the parent to end closes the pipe; the reaper then kills the processes and removes the folders that
// the parent had told it of. Commands, one a line: +pid PID START, -pid PID, +dir PATH, -dir PATH.
const (
	reaperEnv = "SWELL_TESTBED_REAPER"
	reaperFD  = 3
)

// init makes every program that can start processes able to be its own reaper, test binaries too.
func init() {
	if os.Getenv(reaperEnv) != "" {
		signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
		os.Exit(reap(os.NewFile(reaperFD, "parent")))
	}
}

type reaper struct {
	mu   sync.Mutex
	pipe *os.File
}

var theReaper reaper

// ensure starts the reaper where it is not yet there.
func (r *reaper) ensure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pipe != nil {
		return nil
	}
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("starting the reaper: %w; raise the limit of open files", err)
	}
	defer read.Close()
	// a session of its own: no signal of the terminal reaches it
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{"reaper"}, Env: append(os.Environ(), reaperEnv+"=1"), Dir: "/",
		ExtraFiles: []*os.File{read}, SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	if err := cmd.Start(); err != nil {
		_ = write.Close()
		return fmt.Errorf("starting the reaper: %w", err)
	}
	go func() {
		_ = cmd.Wait()
		_ = write.Close()
	}()
	r.pipe = write
	return nil
}

func (r *reaper) addProcess(pid int) error {
	start, err := startTime(pid)
	if err != nil {
		return nil // ended already
	}
	return r.tell(fmt.Sprintf("+pid %d %s", pid, start))
}

func (r *reaper) forgetProcess(pid int) { _ = r.tell(fmt.Sprintf("-pid %d", pid)) }

func (r *reaper) tell(line string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := io.WriteString(r.pipe, line+"\n"); err != nil {
		return fmt.Errorf("telling the reaper %q: %w; it was killed, start the program again", line, err)
	}
	return nil
}

// TempDir makes a folder that is removed by the returned function, or when this process ends in any way.
func TempDir(pattern string) (dir string, remove func() error, err error) {
	if dir, err = os.MkdirTemp("", pattern); err != nil {
		return "", nil, fmt.Errorf("making a folder for the run: %w; point TMPDIR to a writable folder", err)
	}
	if err = theReaper.ensure(); err == nil {
		err = theReaper.tell("+dir " + dir)
	}
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, func() error {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("removing the folder of the run: %w; remove it by hand", err)
		}
		return theReaper.tell("-dir " + dir)
	}, nil
}

// reap reads the parent's commands until the pipe closes, then kills and removes; it returns an exit code.
func reap(parent io.Reader) int {
	pids, dirs := map[int]string{}, map[string]bool{}
	lines := bufio.NewScanner(parent)
	for lines.Scan() {
		verb, rest, _ := strings.Cut(lines.Text(), " ")
		number, start, _ := strings.Cut(rest, " ")
		pid, _ := strconv.Atoi(number)
		switch verb {
		case "+pid":
			pids[pid] = start
		case "-pid":
			delete(pids, pid)
		case "+dir":
			dirs[rest] = true
		case "-dir":
			delete(dirs, rest)
		}
	}
	for pid, start := range pids {
		if pid > 1 && !isAnother(pid, start) {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	for pid, start := range pids {
		for range 200 { // 2 s: a killed process may write until it is gone
			if now, err := startTime(pid); err != nil || now != start {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	code := 0
	for dir := range dirs {
		if filepath.IsAbs(dir) && os.RemoveAll(dir) != nil {
			code = 1
		}
	}
	return code
}

// isAnother is true where the id was given to a process that started at another time. An id with no
// process may still be the group of what our process started: the kernel gives no id away that names a group.
func isAnother(pid int, start string) bool {
	now, err := startTime(pid)
	return err == nil && now != start
}

// startTime is when a live process started, in clock ticks since boot: with the id, a name that is never
// given twice. A zombie counts as gone.
func startTime(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// the second field is the program's name in brackets and may hold spaces
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return "", os.ErrProcessDone
	}
	return fields[19], nil
}
