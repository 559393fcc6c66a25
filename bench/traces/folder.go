package traces

import (
	"os"
	"path/filepath"
)

// Folder is where recorded loads are that the project does not keep: SWELL_TRACES, else ../shared/traces beside the module;
// empty where neither is there.
func Folder() string {
	if f := os.Getenv("SWELL_TRACES"); f != "" {
		return f
	}
	dir, err := os.Getwd()
	for err == nil {
		if _, e := os.Stat(filepath.Join(dir, "go.mod")); e == nil {
			f := filepath.Join(dir, "..", "shared", "traces")
			if _, e := os.Stat(f); e == nil {
				return f
			}
			return ""
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
	return ""
}
