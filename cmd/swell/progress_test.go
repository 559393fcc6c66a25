package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// play draws an indicator that a command moved, at times after its beginning.
func drawn(terminal, color bool, at ...time.Duration) string {
	var out bytes.Buffer
	i := &indicator{to: &out, command: "swell replay", terminal: terminal, color: color, began: time.Unix(0, 0), share: -1}
	for n, d := range at {
		if n > 0 {
			i.at("reactive", 0.5)
		}
		i.draw(i.began.Add(d))
	}
	return out.String()
}

func TestProgressIsDrawnAfterTwoSeconds(t *testing.T) {
	for name, c := range map[string]struct {
		got, want string
	}{
		"too soon":  {drawn(true, true, time.Second), ""},
		"unknown":   {drawn(true, true, 3*time.Second), "swell replay: 3 s"},
		"a bar":     {drawn(true, false, time.Second, 4*time.Second), "swell replay: reactive ████████████░░░░░░░░░░░░  50 % 4 s"},
		"in colour": {drawn(true, true, time.Second, 4*time.Second), "swell replay: reactive \x1b[36m████████████░░░░░░░░░░░░\x1b[0m  50 % 4 s"},
		"redrawn":   {drawn(true, false, 3*time.Second, 4*time.Second), "swell replay: 3 s\r\x1b[Kswell replay: reactive ████████████░░░░░░░░░░░░  50 % 4 s"},
		"in a log":  {drawn(false, true, 3*time.Second, 4*time.Second, 9*time.Second), "swell replay: 3 s\nswell replay: reactive ████████████░░░░░░░░░░░░  50 % 9 s\n"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q: want %q", name, c.got, c.want)
		}
	}
}

// What is printed stands on a line of its own, and nothing is drawn where nobody looks.
func TestProgressStandsInNobodysWay(t *testing.T) {
	var out, log bytes.Buffer
	i := &indicator{to: &log, command: "swell replay", terminal: true, share: -1}
	i.draw(i.began.Add(3 * time.Second))
	if _, err := (before{i, &out}).Write([]byte("result\n")); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(log.String(), "\r\x1b[K") || out.String() != "result\n" {
		t.Errorf("%q %q", log.String(), out.String())
	}
	for _, c := range []struct {
		args []string
		want bool
	}{{nil, false}, {[]string{"--json"}, false}, {[]string{"--progress"}, true}, {[]string{"--json", "--progress"}, true}} {
		got := false
		root := rootCommand()
		leaf := &cobra.Command{Use: "leaf", RunE: func(cmd *cobra.Command, _ []string) error { got = newIndicator(cmd) != nil; return nil }}
		leaf.Flags().Bool("json", false, "")
		root.AddCommand(leaf)
		root.SetErr(&log)
		root.SetArgs(append([]string{"leaf"}, c.args...))
		if err := root.Execute(); err != nil || got != c.want {
			t.Errorf("%v: %t, %v: want %t", c.args, got, err, c.want)
		}
	}
}
