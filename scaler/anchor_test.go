package scaler

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubefake "k8s.io/client-go/kubernetes/fake"
	kubetesting "k8s.io/client-go/testing"

	"swell/scaler/ledger"
)

// A head that cannot be read is told in the log and the ledger, with its mend, and the scaler goes on and keeps its own.
func TestAHeadThatCannotBeReadIsRecorded(t *testing.T) {
	nonsense := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "swell-system", Name: ledger.AnchorName}, Data: map[string]string{"head": strings.Repeat("nonsense ", 1000)}}
	for name, c := range map[string]struct {
		there []runtime.Object
		fails error
		want  []string // nil is no word of it
	}{
		"nonsense":       {[]runtime.Object{nonsense}, nil, []string{"swell-system/" + ledger.AnchorName, "nonsense", "SEQ:HASH", "verify the ledger"}},
		"not to be read": {[]runtime.Object{nonsense}, errors.New("forbidden"), []string{"swell-system/" + ledger.AnchorName, "forbidden", "let swell-scaler get it"}},
		"there is none":  {nil, nil, nil},
	} {
		kube := kubefake.NewClientset(c.there...)
		if c.fails != nil {
			kube.PrependReactor("get", "configmaps", func(kubetesting.Action) (bool, runtime.Object, error) { return true, nil, c.fails })
		}
		dir := t.TempDir()
		book, err := ledger.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		l := New(nil, kube, nil, book, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		l.recorder = l.newRecorder(time.Now())
		ctx, cancel := context.WithCancel(t.Context())
		begin := l.followAnchor(ctx)
		l.write(ledger.Entry{Phase: ledger.Note, Action: "start", Object: "a"})
		begin()
		for deadline := time.Now().Add(time.Minute); !l.recorder.ready.Load(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: the scaler does not go on", name)
			}
		}
		if kept := (ledger.Anchor{Head: ledger.Head{Seq: 1, Hash: strings.Repeat("0", 64)}, Chain: "c"}); c.fails == nil {
			if err := l.writeAnchor(ctx, kept); err != nil {
				t.Errorf("%s: keeping its own: %v", name, err)
			}
			if got, _, err := l.readAnchor(ctx); err != nil || got != kept {
				t.Errorf("%s: kept is %+v, %v", name, got, err)
			}
		}
		cancel()
		if err := book.Close(); err != nil {
			t.Fatal(err)
		}
		entries, _, err := ledger.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		var told string
		for _, e := range entries {
			if e.Action == "problem" && e.Object == "ledger" {
				told += e.Reason
			}
		}
		if c.want == nil && told != "" || len(told) > 1000 {
			t.Errorf("%s: %d bytes are recorded: %s", name, len(told), told)
		}
		for _, want := range c.want {
			if !strings.Contains(told, want) || !strings.Contains(log.String(), want) {
				t.Errorf("%s: the ledger has %q and the log %q: want %q in both", name, told, log.String(), want)
			}
		}
	}
}
