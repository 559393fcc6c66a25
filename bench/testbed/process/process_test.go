package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const parentEnv = "SWELL_TESTBED_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(parentEnv) != "" {
		beParent(os.Getenv(parentEnv))
		return
	}
	os.Exit(m.Run())
}

// beParent starts a child, a child with a child of its own, and a folder; prints them; then ends as told.
func beParent(end string) {
	dir, _, err := TempDir("swell-process-test-")
	if err != nil {
		panic(err)
	}
	fmt.Println("dir", dir)
	plain, err := Start(context.Background(), Spec{Name: "plain", Path: "/bin/sleep", Args: []string{"1000"}, Log: filepath.Join(dir, "plain.log")})
	if err != nil {
		panic(err)
	}
	family, err := Start(context.Background(), Spec{Name: "family", Path: "/bin/sh", Args: []string{"-c", "sleep 1000 & echo $!; wait"}, Log: filepath.Join(dir, "family.log")})
	if err != nil {
		panic(err)
	}
	grandchild := ""
	for grandchild == "" {
		grandchild = strings.TrimSpace(tail(filepath.Join(dir, "family.log"), 1))
	}
	fmt.Println("pids", plain.PID(), family.PID(), grandchild)
	switch end {
	case "panic":
		go panic("as the test wants")
	case "exit":
		os.Exit(3)
	}
	select {}
}

func TestNothingIsLeftBehind(t *testing.T) {
	for _, end := range []string{"SIGKILL", "SIGINT", "panic", "exit"} {
		t.Run(end, func(t *testing.T) {
			parent := exec.Command("/proc/self/exe")
			parent.Env = append(os.Environ(), parentEnv+"="+end)
			out, err := parent.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := parent.Start(); err != nil {
				t.Fatal(err)
			}
			dir, starts := "", map[int]string{}
			lines := bufio.NewScanner(out)
			for len(starts) == 0 && lines.Scan() {
				verb, rest, _ := strings.Cut(lines.Text(), " ")
				if verb == "dir" {
					dir = rest
					continue
				}
				for _, field := range strings.Fields(rest) {
					pid, _ := strconv.Atoi(field)
					if starts[pid], err = startTime(pid); err != nil && end != "exit" && end != "panic" {
						t.Fatalf("pid %d is not there before the end: %v", pid, err)
					}
				}
			}
			if len(starts) != 3 || dir == "" {
				t.Fatalf("parent told of dir %q and processes %v, want a folder and 3", dir, starts)
			}
			switch end {
			case "SIGKILL":
				_ = parent.Process.Signal(syscall.SIGKILL)
			case "SIGINT":
				_ = parent.Process.Signal(syscall.SIGINT)
			}
			_ = parent.Wait()
			waitFor(t, "children and folder to go", func() error {
				for pid, start := range starts {
					if now, err := startTime(pid); err == nil && now == start {
						return fmt.Errorf("pid %d lives", pid)
					}
				}
				if _, err := os.Stat(dir); !os.IsNotExist(err) {
					return fmt.Errorf("folder %s: %v", dir, err)
				}
				return nil
			})
		})
	}
}

func waitFor(t *testing.T, what string, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for err := ask(); err != nil; err = ask() {
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func shell(t *testing.T, ctx context.Context, script string) *Process {
	t.Helper()
	p, err := Start(ctx, Spec{Name: "shell", Path: "/bin/sh", Args: []string{"-c", script}, Log: filepath.Join(t.TempDir(), "log"), Grace: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill() })
	return p
}

func TestExitTellsReasonAndLastLines(t *testing.T) {
	exit := shell(t, context.Background(), "seq 1 100; echo broken >&2; exit 7").Wait()
	var code *exec.ExitError
	if !errors.As(exit.Err, &code) || code.ExitCode() != 7 || exit.Asked {
		t.Errorf("exit is %+v, want unasked with code 7", exit)
	}
	if text := exit.Error(); !strings.HasSuffix(text, "99\n100\nbroken") || strings.Contains(text, "\n42\n") || !strings.Contains(text, "exit status 7") {
		t.Errorf("the error is:\n%s", text)
	}
}

func TestStopKillsWhatIgnoresTerm(t *testing.T) {
	p := shell(t, context.Background(), "trap '' TERM; echo on; while :; do sleep 0.01; done")
	waitFor(t, "the trap", func() error {
		if tail(p.spec.Log, 1) != "on" {
			return errors.New("not yet")
		}
		return nil
	})
	exit := p.Stop()
	if !exit.Asked || !strings.Contains(exit.Error(), "killed") {
		t.Errorf("exit is %v, want killed as asked", exit)
	}
}

func TestRestartKeepsHandleAndLog(t *testing.T) {
	p := shell(t, context.Background(), "echo run; sleep 1000")
	first := p.PID()
	if err := p.Restart(); err == nil || !strings.Contains(err.Error(), "still runs") {
		t.Errorf("restart of what runs: %v", err)
	}
	logHas := func(want string) func() error {
		return func() error {
			if got := tail(p.spec.Log, 5); got != want {
				return fmt.Errorf("log is %q", got)
			}
			return nil
		}
	}
	waitFor(t, "the first run's line", logHas("run"))
	p.Kill()
	if err := p.Restart(); err != nil {
		t.Fatal(err)
	}
	if p.PID() == first {
		t.Errorf("pid is %d after the restart too", first)
	}
	waitFor(t, "both runs in one log", logHas("run\nrun"))
}

func TestEndOfContextStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p := shell(t, ctx, "sleep 1000")
	cancel()
	if exit := p.Wait(); !exit.Asked {
		t.Errorf("exit is %v, want asked", exit)
	}
	if err := p.Restart(); err == nil {
		t.Error("restarted after its context had ended")
	}
}

// The first deadly signal is the one that a process is seen to die of, so a SIGTERM afterwards tells whether
// the reaper had sent SIGKILL, without waiting for something not to happen.
func TestReaperSparesAnotherProcessOfTheSameID(t *testing.T) {
	for name, c := range map[string]struct {
		commands string // PID and START are replaced
		want     syscall.Signal
	}{
		"registered":                 {"+pid PID START\n", syscall.SIGKILL},
		"id given to another":        {"+pid PID 1\n", syscall.SIGTERM},
		"registered, then forgotten": {"+pid PID START\n-pid PID\n", syscall.SIGTERM},
	} {
		t.Run(name, func(t *testing.T) {
			bystander := exec.Command("/bin/sleep", "1000")
			bystander.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := bystander.Start(); err != nil {
				t.Fatal(err)
			}
			pid := bystander.Process.Pid
			start, err := startTime(pid)
			if err != nil {
				t.Fatal(err)
			}
			reap(strings.NewReader(strings.NewReplacer("PID", strconv.Itoa(pid), "START", start).Replace(c.commands)))
			_ = bystander.Process.Signal(syscall.SIGTERM)
			_ = bystander.Wait()
			if got := bystander.ProcessState.Sys().(syscall.WaitStatus).Signal(); got != c.want {
				t.Errorf("it died of %v, want %v", got, c.want)
			}
		})
	}
}

func TestFreePortsAreGivenOnce(t *testing.T) {
	seen := map[int]bool{}
	for range 50 {
		first, err := FreePorts(3)
		if err != nil {
			t.Fatal(err)
		}
		for port := first; port < first+3; port++ {
			if seen[port] || port >= ephemeralLow() {
				t.Errorf("port %d was given before, or to outgoing connections as well", port)
			}
			seen[port] = true
			listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			_ = listener.Close()
		}
	}
}

func TestSpecNamesWhatIsMissing(t *testing.T) {
	for field, spec := range map[string]Spec{
		"Name": {Path: "/bin/true", Log: "x"}, "Path": {Name: "a", Log: "x"}, "Log": {Name: "a", Path: "/bin/true"},
		"Grace": {Name: "a", Path: "/bin/true", Log: "x", Grace: -1},
	} {
		if _, err := Start(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "Spec."+field) {
			t.Errorf("without %s: %v", field, err)
		}
	}
	_, err := Start(t.Context(), Spec{Name: "a", Path: "/no/such", Log: filepath.Join(t.TempDir(), "log")})
	if err == nil || !strings.Contains(err.Error(), "/no/such") {
		t.Errorf("missing program: %v", err)
	}
}
