package main

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

func TestABacklogIsWhatTheGroupHasToRead(t *testing.T) {
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	for _, want := range []int64{100, 200} {
		if lag, err := addBacklog(t.Context(), k.ListenAddrs()[0], "orders", "g", 100); err != nil || lag != want {
			t.Errorf("lag %d, %v; want %d", lag, err, want)
		}
	}
	if lag, err := addBacklog(t.Context(), k.ListenAddrs()[0], "orders", "late", 10); err != nil || lag != 10 {
		t.Errorf("of a group that begins at the ends: %d, %v", lag, err)
	}
	if _, err := addBacklog(t.Context(), k.ListenAddrs()[0], "nowhere", "g", 1); err == nil || !strings.Contains(err.Error(), "a topic of testbed up") {
		t.Errorf("a topic that is not there: %v", err)
	}
}
