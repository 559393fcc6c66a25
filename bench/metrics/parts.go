package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"swell/bench/testbed/process"
)

// What is measured, and what it is measured against, runs in processes of its own: this program again under another name.
const (
	partBroker = "bench-broker"
	partPoller = "bench-poller"
)

var parts = map[string]func(args []string) int{partBroker: brokerMain, partPoller: pollerMain}

// runPart is this process's exit code if it was started as a part.
func runPart() (code int, isPart bool) {
	part, ok := parts[filepath.Base(os.Args[0])]
	if !ok {
		return 0, false
	}
	return part(os.Args[1:]), true
}

// startTimeout is for one process on a machine that is busy with other things.
const startTimeout = time.Minute

func startPart(ctx context.Context, part, log string, args ...string) (*process.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start %s: find this program's own file: %w", part, err)
	}
	return process.Start(ctx, process.Spec{Name: part, Path: self, Argv0: part, Args: args, Log: log})
}

// ended adds to an error that the process is gone, if it is.
func ended(p *process.Process, err error) error {
	select {
	case <-p.Done():
		return errors.Join(err, p.Wait())
	default:
		return err
	}
}

func getJSON(ctx context.Context, url string, into any) error {
	return doJSON(ctx, http.MethodGet, url, into)
}

func postJSON(ctx context.Context, url string, into any) error {
	return doJSON(ctx, http.MethodPost, url, into)
}

func doJSON(ctx context.Context, method, url string, into any) error {
	body, err := do(ctx, method, url)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s %s: %w", method, url, err)
	}
	return nil
}

func do(ctx context.Context, method, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, url, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %s: %s", method, url, response.Status, strings.TrimSpace(string(body)))
	}
	return body, nil
}

// memory is what the kernel holds for a process, in MiB: now, at most so far, and the share now that is backed by no file.
type memory struct{ RSS, Peak, Anonymous float64 }

// memoryOf reads a process's memory.
func memoryOf(pid int) (memory, error) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return memory{}, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	var m memory
	fields := map[string]*float64{"VmRSS:": &m.RSS, "VmHWM:": &m.Peak, "RssAnon:": &m.Anonymous}
	found := 0
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 2 || fields[words[0]] == nil {
			continue
		}
		kib, err := strconv.ParseFloat(words[1], 64)
		if err != nil {
			return memory{}, fmt.Errorf("read %s: %w", path, err)
		}
		*fields[words[0]] = kib / 1024
		found++
	}
	if found != len(fields) {
		return memory{}, fmt.Errorf("read %s: it lacks VmRSS, VmHWM or RssAnon: this needs Linux", path)
	}
	return m, nil
}

// tick is the unit of CPU times in /proc, the same on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// cpuOf is the CPU time that a process has used.
func cpuOf(pid int) (time.Duration, error) {
	path := fmt.Sprintf("/proc/%d/stat", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	// the second field is the program's name in brackets and may hold spaces
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	const user, system = 11, 12
	if len(fields) <= system {
		return 0, fmt.Errorf("read %s: it has %d fields", path, len(fields))
	}
	var ticks int64
	for _, f := range fields[user : system+1] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", path, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}
