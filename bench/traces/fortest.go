package traces

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"swell/scaler/series"
)

// T is what ForTest needs of testing.TB.
type T interface {
	Helper()
	Fatal(args ...any)
	Skip(args ...any)
}

// ForTest is the load's series, from the project or from Folder. Where it is in neither the test is skipped, or fails if
// SWELL_REQUIRE has traces.
func (r Recorded) ForTest(t T) series.Series {
	t.Helper()
	folder := Folder()
	if r.Kept != "" { // what every clone has is what is tested
		folder = ""
	}
	s, found, err := r.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	if !found {
		Missing(t, fmt.Sprintf("%s.csv is neither in $SWELL_TRACES nor in ../shared/traces beside the module", r.File))
	}
	return s
}

// Missing ends a test that lacks recorded loads: a skip, or a failure if SWELL_REQUIRE has traces.
func Missing(t T, what string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("SWELL_REQUIRE"), ","), "traces") {
		t.Fatal(what)
	}
	t.Skip("skipped: " + what)
}

// Named is a recorded load by its name in tables.
func Named(name string) (Recorded, error) {
	for _, r := range All() {
		if r.Name == name {
			return r, nil
		}
	}
	return Recorded{}, fmt.Errorf("finding the load %q: there is none of that name", name)
}
