package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command that does something shows how it is used, with flags that it has, and may stand in a script.
func TestEveryCommandShowsItsUseAndHasJSON(t *testing.T) {
	var leaves func(c *cobra.Command) int
	leaves = func(c *cobra.Command) (n int) {
		for _, sub := range c.Commands() {
			n += leaves(sub)
		}
		if own := c.Name() != "help" && c.Name() != "completion" && (!c.HasParent() || c.Parent().Name() != "completion"); own && (c.Long == "" || c.Short == "") {
			t.Errorf("%s does not say what it does", c.CommandPath())
		}
		if !c.HasParent() || c.Name() == "help" || c.Name() == "completion" || c.Parent().Name() == "completion" || c.HasSubCommands() && c.Name() != "check" {
			return n
		}
		if c.Flags().Lookup("json") == nil {
			t.Errorf("%s has no --json", c.CommandPath())
		}
		if c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for _, line := range strings.Split(c.Example, "\n") {
			_, line, _ = strings.Cut(line, "swell ")
			if i := strings.LastIndex(line, "&& swell "); i >= 0 {
				line = line[i+len("&& swell "):]
			}
			line, _, _ = strings.Cut(line, " > ")
			if code, _, stderr := swell(t, append(strings.Fields(line), "--help")...); code != 0 {
				t.Errorf("%s: swell %s: %s", c.CommandPath(), line, stderr)
			}
		}
		return n + 1
	}
	if n := leaves(rootCommand()); n < 15 {
		t.Errorf("%d commands are found", n)
	}
}
