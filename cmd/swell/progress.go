package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

const (
	// showAfter is how long a command may take before it tells how far it is.
	showAfter = 2 * time.Second
	// redraw is the time between two looks of it on a terminal, and logEvery between two lines elsewhere.
	redraw   = 200 * time.Millisecond
	logEvery = 5 * time.Second
	barWidth = 24
)

// indicator tells on stderr how far a command is. What the command prints goes before it.
type indicator struct {
	mu       sync.Mutex
	to       io.Writer
	command  string
	terminal bool // redrawn in place; otherwise line after line
	color    bool
	began    time.Time
	text     string
	share    float64 // below 0 is not known
	drawn    bool
	loggedAt time.Time
	stopped  bool
}

// withProgress runs every command that does something with an indicator beside it.
func withProgress(root *cobra.Command) {
	for _, c := range root.Commands() {
		withProgress(c)
		if c.RunE == nil || c.HasSubCommands() && c.Name() != "check" {
			continue
		}
		run := c.RunE
		c.RunE = func(cmd *cobra.Command, args []string) error {
			i := newIndicator(cmd)
			if i == nil {
				return run(cmd, args)
			}
			out, log := cmd.OutOrStdout(), cmd.ErrOrStderr()
			cmd.SetOut(before{i, out})
			cmd.SetErr(before{i, log})
			indicators.Store(cmd, i)
			stop := i.start()
			defer func() {
				stop()
				indicators.Delete(cmd)
				cmd.SetOut(out)
				cmd.SetErr(log)
			}()
			return run(cmd, args)
		}
	}
}

// indicators of the commands that run.
var indicators sync.Map

// progress is how a command tells how far a part of it is, as a share.
func progress(cmd *cobra.Command) func(part string, done float64) {
	i, _ := indicators.Load(cmd)
	if i == nil {
		return func(string, float64) {}
	}
	return i.(*indicator).at
}

// newIndicator is nil where nobody looks: stderr is no terminal, or one document is asked for. --progress asks for it in any case.
func newIndicator(cmd *cobra.Command) *indicator {
	if cmd.Name() == "page" { // goes on until it is ended
		return nil
	}
	asked, _ := cmd.Flags().GetBool("progress")
	asJSON, _ := cmd.Flags().GetBool("json")
	terminal := isTerminal(cmd.ErrOrStderr())
	if !asked && (!terminal || asJSON) {
		return nil
	}
	return &indicator{to: cmd.ErrOrStderr(), command: cmd.CommandPath(), terminal: terminal && os.Getenv("TERM") != "dumb", color: os.Getenv("NO_COLOR") == "",
		began: time.Now(), share: -1}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// start draws beside the command until stop.
func (i *indicator) start() (stop func()) {
	done := make(chan struct{})
	var drawing sync.WaitGroup
	drawing.Go(func() {
		t := time.NewTicker(redraw)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case now := <-t.C:
				i.draw(now)
			}
		}
	})
	return func() {
		close(done)
		drawing.Wait()
		i.mu.Lock()
		defer i.mu.Unlock()
		i.clear()
		i.stopped = true
	}
}

func (i *indicator) at(part string, done float64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.text, i.share = part, done
}

func (i *indicator) draw(now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if now.Sub(i.began) < showAfter || i.stopped {
		return
	}
	if !i.terminal {
		if now.Sub(i.loggedAt) >= logEvery {
			i.loggedAt = now
			fmt.Fprintln(i.to, i.line(now))
		}
		return
	}
	i.clear()
	fmt.Fprint(i.to, i.line(now))
	i.drawn = true
}

// clear takes the line away. The lock is held.
func (i *indicator) clear() {
	if i.drawn {
		fmt.Fprint(i.to, "\r\x1b[K")
		i.drawn = false
	}
}

func (i *indicator) line(now time.Time) string {
	words := []string{i.command + ":"}
	if i.text != "" {
		words = append(words, i.text)
	}
	if i.share >= 0 {
		full := min(max(int(i.share*barWidth), 0), barWidth)
		bar := strings.Repeat("█", full) + strings.Repeat("░", barWidth-full)
		if i.color && i.terminal {
			bar = "\x1b[36m" + bar + "\x1b[0m"
		}
		words = append(words, bar, fmt.Sprintf("%3.0f %%", 100*i.share))
	}
	return strings.Join(append(words, fmt.Sprintf("%.0f s", now.Sub(i.began).Seconds())), " ")
}

// before is a writer that takes the indicator away first.
type before struct {
	i *indicator
	w io.Writer
}

func (b before) Write(p []byte) (int, error) {
	b.i.mu.Lock()
	defer b.i.mu.Unlock()
	b.i.clear()
	return b.w.Write(p)
}
