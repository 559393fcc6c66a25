package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"swell/scaler/replay"
	"swell/scaler/replay/frontier"
)

// unservedLimit is what the project promises to stay below.
const unservedLimit = 0.001

// picture draws what the policies cost and left unserved.
func picture(in replay.Input, o replayFlags, runs []replay.Result) string {
	title := in.Scenario.Name
	if o.trace != "" {
		title = strings.TrimSuffix(strings.TrimSuffix(filepath.Base(o.trace), ".gz"), ".csv") + ", " + title
	}
	return frontier.Picture{
		Title: title, Subtitle: fmt.Sprintf("what each policy costs and leaves unserved; seed %d", in.Seed),
		Lines: frontier.OfRuns(runs, o.policies...), Main: "swell", Limit: unservedLimit,
	}.SVG()
}
