package main

import (
	"io"
	"slices"
	"strings"
	"testing"
)

func TestOptionsThatCannotBeUsedSayWhy(t *testing.T) {
	for want, args := range map[string][]string{
		`--stages has "gets"`:        {"--stages", "poller,gets"},
		`--asks has "lateness"`:      {"--asks", "lateness"},
		"--speed is 20":              {"--speed", "20"},
		`unexpected argument "fast"`: {"--short", "fast"},
	} {
		if _, err := parseOptions(args, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v: want %q", args, err, want)
		}
	}
}

func TestEachSizeHasItsStages(t *testing.T) {
	o := full()
	o.stages = []string{stagePoller, stageKEDA, stageServer}
	for i, want := range [][]string{{stagePoller, stageKEDA}, {stagePoller, stageServer}} {
		if got := o.stagesOf(i); !slices.Equal(got, want) {
			t.Errorf("size %d has %v, want %v", i, got, want)
		}
	}
	o.kedaGroups, o.stages = nil, []string{stageKEDA, stageServer}
	if got := o.stagesOf(0); len(got) != 0 {
		t.Errorf("without a peer, size 0 has %v", got)
	}
}
