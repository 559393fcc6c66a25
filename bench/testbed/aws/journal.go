package aws

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// journal is the three logs in the emulator's directory. state.jsonl is what a restart is made from; instances.jsonl and
// calls.jsonl are for others to read. Every line is written by one system call, so a kill leaves whole lines.
type journal struct {
	state, instances, calls *os.File
}

// openJournal opens the logs, replays the state and gives instances.jsonl the events that a kill kept from it.
func openJournal(dir string, s *state) (*journal, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("opening the emulator's logs: %w; give a directory that can be written", err)
	}
	j := &journal{}
	var files [3]*os.File
	var contents [3][]byte
	for i, name := range []string{"state.jsonl", "instances.jsonl", "calls.jsonl"} {
		f, content, err := openLog(filepath.Join(dir, name))
		if err != nil {
			j.Close()
			return nil, fmt.Errorf("opening the emulator's logs: %w; give a directory that can be written", err)
		}
		files[i], contents[i] = f, content
		j.state, j.instances, j.calls = files[0], files[1], files[2]
	}
	told := bytes.Count(contents[1], []byte("\n"))
	var events []Event
	for n, line := range bytes.SplitAfter(contents[0], []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		more, err := s.replay(line)
		if err != nil {
			j.Close()
			return nil, fmt.Errorf("replaying %s line %d: %w; remove the directory to start anew", j.state.Name(), n+1, err)
		}
		events = append(events, more...)
	}
	if told > len(events) {
		j.Close()
		return nil, fmt.Errorf("replaying %s: it tells %d events and instances.jsonl has %d; remove the directory to start anew", j.state.Name(), len(events), told)
	}
	return j, j.tell(events[told:])
}

// openLog opens a log for appending and cuts a last line off that was not written to its end.
func openLog(path string) (*os.File, []byte, error) {
	content, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, nil, err
	}
	whole := content[:bytes.LastIndexByte(content, '\n')+1]
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, nil, err
	}
	if err := f.Truncate(int64(len(whole))); err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, whole, nil
}

func (j *journal) commit(t transaction, events []Event) error {
	if j == nil {
		return nil
	}
	if err := writeLines(j.state, t); err != nil {
		return err
	}
	return j.tell(events)
}

func (j *journal) tell(events []Event) error { return writeLines(j.instances, events...) }

func (j *journal) call(c Call) error {
	if j == nil {
		return nil
	}
	return writeLines(j.calls, c)
}

// Close closes the logs.
func (j *journal) Close() {
	if j == nil {
		return
	}
	for _, f := range []*os.File{j.state, j.instances, j.calls} {
		if f != nil {
			f.Close()
		}
	}
}

func writeLines[T any](f *os.File, lines ...T) error {
	var buffer bytes.Buffer
	for _, l := range lines {
		raw, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("encoding a line of %s: %w", f.Name(), err)
		}
		buffer.Write(raw)
		buffer.WriteByte('\n')
	}
	if buffer.Len() == 0 {
		return nil
	}
	if _, err := f.Write(buffer.Bytes()); err != nil {
		return fmt.Errorf("writing %s: %w; make room on the disk", f.Name(), err)
	}
	return nil
}
