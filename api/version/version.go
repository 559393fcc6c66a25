// Package version says which build of swell a program is. It is the one place where that is kept.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// The linker sets these: see build/release.
var (
	number string // such as v0.1.0
	commit string // of the source
)

// Info is a build.
type Info struct {
	// Version is a release's, such as v0.1.0, or (devel).
	Version string `json:"version"`
	// Commit of the source; empty is not known.
	Commit string `json:"commit,omitempty"`
	Go     string `json:"go"`
	// Platform is GOOS/GOARCH.
	Platform string `json:"platform"`
}

// Get is the running program's build.
func Get() Info {
	i := Info{Version: number, Commit: commit, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	build, known := debug.ReadBuildInfo()
	if known && i.Version == "" {
		i.Version = build.Main.Version
	}
	if known && i.Commit == "" {
		for _, s := range build.Settings {
			if s.Key == "vcs.revision" {
				i.Commit = s.Value
			}
		}
	}
	if i.Version == "" {
		i.Version = "(devel)"
	}
	return i
}

// Line is a program's build in one line.
func (i Info) Line(program string) string {
	text := program + " " + i.Version
	if i.Commit != "" {
		text += fmt.Sprintf(" (%.12s)", i.Commit)
	}
	return text + ", " + i.Go + ", " + i.Platform
}

// Agent is a program's User-Agent.
func (i Info) Agent(program string) string {
	return fmt.Sprintf("%s/%s (%s)", program, i.Version, i.Platform)
}
