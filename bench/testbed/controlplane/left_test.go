package controlplane_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"swell/bench/testbed/controlplane"
)

const parentEnv = "SWELL_TESTBED_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(parentEnv) != "" {
		beParent()
	}
	os.Exit(m.Run())
}

// beParent boots a control plane, prints what must vanish with it, and waits to be killed.
func beParent() {
	cluster, err := controlplane.Start(context.Background(), controlplane.Options{})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	for _, pid := range cluster.PIDs() {
		fmt.Println("pid", pid)
	}
	fmt.Println("dir", cluster.Dir())
	time.Sleep(time.Hour)
}

func TestSIGKILLOfTheParentLeavesNothing(t *testing.T) {
	parent := exec.Command("/proc/self/exe")
	parent.Env = append(os.Environ(), parentEnv+"=1", controlplane.BinaryEnv+"="+controlplane.BinaryForTest(t))
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	dir := ""
	lines := bufio.NewScanner(out)
	for dir == "" && lines.Scan() {
		what, value, _ := strings.Cut(lines.Text(), " ")
		switch what {
		case "dir":
			dir = value
		case "pid":
			var pid int
			if _, err := fmt.Sscan(value, &pid); err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		default:
			t.Fatal(lines.Text())
		}
	}
	if len(pids) != 5 || dir == "" {
		t.Fatalf("parent has %d components and folder %q, want 5 and one", len(pids), dir)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	eventually(t, "components and folder gone", func() error {
		for _, pid := range pids {
			if state := processState(pid); state != "" && state != "Z" {
				return fmt.Errorf("pid %d is in state %s", pid, state)
			}
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			return fmt.Errorf("folder %s: %v", dir, err)
		}
		return nil
	})
}

// processState is the letter of /proc, empty for no process. Orphans stay zombies where nobody waits for them.
func processState(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return rest[:1]
}

func TestDeathOfAComponentIsToldAndMended(t *testing.T) {
	cluster, client := boot(t, controlplane.Options{})
	pid := cluster.PIDs()["kube-scheduler"]
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	exit := <-cluster.Failures()
	if exit.Name != "kube-scheduler" || exit.PID != pid || exit.LogTail == "" {
		t.Errorf("failure is %v, want kube-scheduler's with its log", exit)
	}
	if err := cluster.Restart(t.Context(), "kube-scheduler"); err != nil {
		t.Fatal(err)
	}

	// the store and the API server too come back with what was acknowledged
	addNodes(t, client, 1)
	for _, name := range []string{"etcd", "kube-apiserver"} {
		cluster.Process(name).Kill()
		if err := cluster.Restart(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	deploy(t, client, 2)
	eventually(t, "pods scheduled by what was started again", func() error {
		names, err := readyPods(t.Context(), client)
		if err == nil && len(names) != 2 {
			err = fmt.Errorf("%d ready", len(names))
		}
		return err
	})
	select {
	case exit := <-cluster.Failures():
		t.Errorf("killed on purpose, yet told as a failure, or a failure that followed: %v", exit)
	default:
	}
	if err := cluster.Restart(t.Context(), "kubelet"); err == nil || !strings.Contains(err.Error(), "kube-scheduler") {
		t.Errorf("restart of an unknown component: %v", err)
	}
}

func TestBadOptionsAreNamed(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	notABinary := filepath.Join(t.TempDir(), "testbed")
	if err := os.WriteFile(notABinary, []byte("#!/bin/sh\necho no such part >&2; exit 2\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		options controlplane.Options
		want    string
	}{
		{controlplane.Options{ControllerQPS: -1}, "Options.ControllerQPS"},
		{controlplane.Options{PodStart: -time.Second}, "Options.PodStart"},
		{controlplane.Options{Binary: "x", Dir: full}, full},
		{controlplane.Options{Binary: "/no/such"}, "/no/such"},
		{controlplane.Options{Binary: notABinary}, "no such part"},
	} {
		cluster, err := controlplane.Start(t.Context(), c.options)
		if err == nil {
			_ = cluster.Stop()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %v, want one that names %s", err, c.want)
		}
	}
	if _, err := os.Stat(filepath.Join(full, "mine")); err != nil {
		t.Errorf("a folder of somebody else was touched: %v", err)
	}
}

func TestMissingBinaryNamesTheMend(t *testing.T) {
	t.Setenv(controlplane.BinaryEnv, filepath.Join(t.TempDir(), "testbed"))
	if _, err := controlplane.FindBinary(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "make build") {
		t.Errorf("error is %v, want one that names make build", err)
	}
	t.Setenv(controlplane.BinaryEnv, "")
	t.Chdir(t.TempDir())
	if _, err := controlplane.FindBinary(); err == nil || !strings.Contains(err.Error(), "go.mod") {
		t.Errorf("error is %v, want one that names go.mod", err)
	}
}
