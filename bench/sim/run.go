package sim

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	emulator "swell/bench/testbed/aws"
)

const (
	// trouble is how long faults come, and bound how soon after the last of them all is to be at rest; virtual time. The
	// longest back-off is 10 minutes, an instance that never joins is given up after 5, and a boot takes 2.
	trouble = 12 * time.Minute
	bound   = 30 * time.Minute
	// restFor is how long the world must be at rest to count.
	restFor = time.Minute
)

// Result of one seed.
type Result struct {
	Seed uint64
	// Found are the promises that were broken.
	Found []string
	// Timeline of the run, one event a line.
	Timeline []string
	// Faults by kind.
	Faults map[string]int
}

// stream makes client tokens that depend on the seed.
type stream struct{ *rand.Rand }

func (s stream) Read(b []byte) (int, error) {
	var buffer bytes.Buffer
	for buffer.Len() < len(b) {
		_ = binary.Write(&buffer, binary.LittleEndian, s.Uint64()) // a buffer takes it
	}
	return copy(b, buffer.Bytes()), nil
}

// Run runs one seed. It must be called in a bubble of testing/synctest, and one at a time in a process, since tokens and
// names come from the process's random sources. Ledgers are written below dir.
func Run(seed uint64, dir string) (Result, error) {
	uuid.SetRand(stream{rand.New(rand.NewPCG(seed, 2))})
	defer uuid.SetRand(nil)
	w, err := newWorld(seed)
	if err != nil {
		return Result{}, err
	}
	defer w.aws.Close()
	ctx, cancel := context.WithCancel(context.Background())
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { w.run(stop); close(stopped) }()
	s, all, err := w.lead(ctx, dir)
	if err == nil {
		w.settle(s)
	}
	cancel()
	close(stop)
	<-stopped
	for _, a := range all {
		<-a.done
	}
	time.Sleep(20 * time.Minute) // drains of the ended end
	return Result{Seed: seed, Found: w.found, Timeline: w.timeline, Faults: w.faults}, err
}

// lead starts scalers one after the other, as crashes and stalls end them, until the faults end, and returns the last.
func (w *world) lead(ctx context.Context, dir string) (last *scaler, all []*scaler, err error) {
	stalls := w.roll("stalls")
	for n := 1; ; n++ {
		time.Sleep(time.Second + 37*time.Nanosecond)
		id := fmt.Sprintf("scaler-%d", n)
		if last, err = newScaler(ctx, w, id, filepath.Join(dir, id)); err != nil {
			return nil, all, err
		}
		all = append(all, last)
		go last.run(ctx)
		w.await(last, stalls, n)
		if time.Since(w.start) >= trouble {
			break
		}
	}
	_, _ = w.aws.Control("reset", emulator.Order{})
	w.calm = true
	w.say("faults end")
	if last.wire.gone() {
		time.Sleep(time.Second)
		id := fmt.Sprintf("scaler-%d", len(all)+1)
		if last, err = newScaler(ctx, w, id, filepath.Join(dir, id)); err != nil {
			return nil, all, err
		}
		all = append(all, last)
		go last.run(ctx)
	}
	return last, all, nil
}

// await returns when another scaler is to take over, or the faults end.
func (w *world) await(s *scaler, stalls uint64, n int) {
	stallAt := time.Now().Add(time.Duration(60+(stalls>>(8*(n%6)))%400) * time.Second)
	for time.Since(w.start) < trouble && !s.wire.gone() {
		time.Sleep(time.Second)
		if stalls%2 == 1 && time.Now().After(stallAt) {
			s.wire.mu.Lock()
			s.wire.stalled = time.Now().Add(90 * time.Second)
			s.wire.mu.Unlock()
			w.fire("stalled leader wakes")
			return
		}
	}
}

// settle waits until the world is at rest, for no longer than the bound.
func (w *world) settle(s *scaler) {
	ended, since, why := time.Now(), time.Time{}, ""
	for time.Since(ended) < bound {
		time.Sleep(worldEvery)
		if why = w.unsettled(s.cloud.last); why != "" {
			since = time.Time{}
			continue
		}
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) >= restFor {
			return
		}
	}
	w.violate("no rest within %s after the faults ended: %s", bound, why)
}
