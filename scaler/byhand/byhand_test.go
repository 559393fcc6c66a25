package byhand

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func raw(t *testing.T, e Entry) string {
	t.Helper()
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What cannot be read is unknown: it must not let nodes go.
func TestAnEntryThatCannotBeReadFreezesItsPool(t *testing.T) {
	for key, of := range map[string]struct {
		value   string
		general bool // pool general is frozen
		other   bool
	}{
		"freeze":                         {"{", true, true},
		"freeze.general":                 {`{"until":"tomorrow"}`, true, false},
		"freeze.batch":                   {`{"until":"2026-12-01T00:00:00Z","what":"ScaleOut"}`, false, false},
		"hold.ap-northeast-1a.general":   {`{"nodes":-1,"until":"2026-12-01T00:00:00Z"}`, true, false},
		"hold.general":                   {`{"nodes":1,"until":"2026-12-01T00:00:00Z"}`, true, true},
		"Freeze":                         {`{"until":"2026-12-01T00:00:00Z","what":"All"}`, true, true},
		"hold.ap-northeast-1a.general.x": {`{"nodes":1,"untill":"2026-12-01T00:00:00Z"}`, false, false},
	} {
		o := Parse(map[string]string{key: of.value})
		if len(o.Problems) != 1 || !strings.Contains(o.Problems[0].What, key) || o.Problems[0].Mend == "" {
			t.Errorf("%s: %+v: want a problem that names the key and a mend", key, o)
			continue
		}
		if f := o.Freeze("general", now); (f != nil) != of.general {
			t.Errorf("%s: pool general's freeze is %+v", key, f)
		} else if f != nil && f.What != ScaleIn {
			t.Errorf("%s: %s is frozen: launches must go on", key, f.What)
		}
		if f := o.Freeze("other", now); (f != nil) != of.other {
			t.Errorf("%s: pool other's freeze is %+v", key, f)
		}
	}
}

func TestAnExpiredEntryIsNotInForce(t *testing.T) {
	past := now.Add(-time.Second)
	o := Parse(map[string]string{
		"freeze":                       raw(t, Entry{What: All, Until: past}),
		"hold.ap-northeast-1a.general": raw(t, Entry{Nodes: 3, Until: past}),
	})
	if len(o.Problems) > 0 || o.Freeze("general", now) != nil || len(o.Holds("general", now)) > 0 {
		t.Errorf("%+v is in force", o)
	}
	if len(o.Expired(now)) != 0 || len(o.Expired(now.Add(2*time.Hour))) != 2 {
		t.Error("expired entries go an hour after their end, not before")
	}
}

func TestTheStrongerFreezeIsInForce(t *testing.T) {
	o := Parse(map[string]string{
		"freeze":         raw(t, Entry{What: ScaleIn, Until: now.Add(9 * time.Hour)}),
		"freeze.general": raw(t, Entry{What: All, Until: now.Add(time.Hour)}),
	})
	if f := o.Freeze("general", now); f == nil || f.What != All {
		t.Errorf("%+v: want the freeze of everything", f)
	}
	if f := o.Freeze("general", now.Add(2*time.Hour)); f == nil || f.What != ScaleIn {
		t.Errorf("%+v: want the one that lasts", f)
	}
}

// Every entry that may be written is read back as it was.
func TestEntriesAreReadAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		e := Entry{Pool: rapid.StringMatching(`[a-z0-9]([a-z0-9]|[a-z0-9.-]{0,9}[a-z0-9])?`).Draw(r, "pool"), Until: now, Reason: rapid.String().Draw(r, "reason"), At: now}
		if rapid.Bool().Draw(r, "hold") {
			e.Zone, e.Nodes = rapid.SampledFrom([]string{"ap-northeast-1a", "us-west-2-lax-1a"}).Draw(r, "zone"), rapid.Int32Range(1, 99).Draw(r, "nodes")
		} else {
			e.What = rapid.SampledFrom([]string{All, ScaleIn}).Draw(r, "what")
		}
		if e.Validate() != nil {
			return
		}
		b, err := json.Marshal(e)
		if err != nil {
			r.Fatal(err)
		}
		o := Parse(map[string]string{e.Key(): string(b)})
		if len(o.Entries) != 1 || o.Entries[0].Key() != e.Key() || o.Entries[0].Pool != e.Pool || o.Entries[0].Zone != e.Zone || o.Entries[0].Nodes != e.Nodes {
			r.Fatalf("%+v was read as %+v", e, o)
		}
	})
}
