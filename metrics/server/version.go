package server

import (
	"fmt"
	"runtime/debug"
)

// Version is what --version prints, and whether it was asked for.
func (s *Server) Version() (text string, asked bool) {
	if !s.version {
		return "", false
	}
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return s.Name + " of an unknown build", true
	}
	return fmt.Sprintf("%s %s, %s", s.Name, b.Main.Version, b.GoVersion), true
}
