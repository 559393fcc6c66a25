package ledger

import (
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// Waiting is the metric of entries that wait.
func Waiting() float64 { return testutil.ToFloat64(entriesWaiting) }

// Rehash makes the hash of a line anew, as who tampers with it would.
func Rehash(text string) string {
	line := strings.TrimSuffix(text, "\n")
	if len(line) < hashPart {
		return text
	}
	body := line[:len(line)-hashPart]
	return body + hashTag + sum([]byte(body)) + "\"}\n"
}

// Relink makes all hashes of a chain anew, as who writes the whole of it anew would.
func Relink(lines []string) (out []string) {
	prev := origin
	for i, text := range lines {
		body, _, _ := strings.Cut(text, schTag+"1"+seqTag)
		line, hash := linked([]byte(body+"}"), int64(i+1), prev)
		out, prev = append(out, string(line)), hash
	}
	return out
}

// Stall makes the writer wait, as for a disk that does not answer, until release is called.
func Stall(l *Ledger) (release func()) {
	begun, held := make(chan struct{}), make(chan struct{})
	_ = l.wait(request{do: func() error {
		close(begun)
		<-held
		return nil
	}})
	<-begun
	return func() { close(held) }
}

// WaitEnded waits until nothing more is written.
func WaitEnded(l *Ledger) { l.ended.Wait() }

// PackAs compresses a segment as a replica does.
func PackAs(path string) error { return pack(path, &sync.Mutex{}) }
