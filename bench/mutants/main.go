// Command mutants takes the guard of each known pitfall out, one after the other, and fails unless the test that is named for the
// pitfall fails then, and passes otherwise.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.root, "root", ".", "the module's root")
	flag.StringVar(&o.pitfalls, "pitfalls", "../shared/pitfalls.md", "the list whose table Nodes must be covered, where it is there; otherwise the list kept in the table")
	flag.StringVar(&o.only, "only", "", "only the pitfall with this id")
	flag.IntVar(&o.atOnce, "p", runtime.GOMAXPROCS(0), "how many mutants are tested at once")
	flag.Parse()
	if flag.NArg() > 0 || o.atOnce < 1 {
		fmt.Fprintln(os.Stderr, "mutants: give no arguments, and -p of 1 or more")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		stop()
		os.Exit(1)
	}
}

type options struct {
	root, pitfalls, only string
	atOnce               int
}

// run says of every pitfall whether its test guards it.
func run(ctx context.Context, o options, out io.Writer) error {
	t, err := readTable(o.root)
	if err != nil {
		return err
	}
	errs := []error{t.covers(o.pitfalls)}
	t = t.only(o.only)
	if o.only != "" {
		errs = nil
	}
	began := time.Now()
	errs = append(errs, t.unharmed(ctx, o.root))
	results := make([]error, len(t.mutants()))
	var running sync.WaitGroup
	slots := make(chan struct{}, o.atOnce)
	var mu sync.Mutex
	for n, m := range t.mutants() {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			results[n] = m.kill(ctx, o.root)
			mu.Lock()
			defer mu.Unlock()
			word := "killed  "
			if results[n] != nil {
				word = "NOT     "
			}
			fmt.Fprintf(out, "%s  %s  %-40s %s\n", time.Now().Format(time.TimeOnly), word, m.patch, m.tests())
		})
	}
	running.Wait()
	fmt.Fprintf(out, "%d pitfalls, %d mutants, %s\n", len(t.Pitfalls), len(results), time.Since(began).Round(time.Second))
	return errors.Join(append(errs, results...)...)
}
