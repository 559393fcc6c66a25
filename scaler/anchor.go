package scaler

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/scaler/ledger"
)

const (
	// anchorEvery is how often the head is kept there and said in the log, machine time; what is written within it can be cut off
	// the ledger unseen.
	anchorEvery = 5 * time.Minute
	// firstAnchor is when a new chain is kept first.
	firstAnchor = 5 * time.Second
)

// readAnchor is the head that this scaler or another kept last; false is that there is none.
func (l *Loop) readAnchor(ctx context.Context) (ledger.Anchor, bool, error) {
	m, err := l.options.Fence.CoreV1().ConfigMaps(l.namespace()).Get(ctx, ledger.AnchorName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return ledger.Anchor{}, false, nil
	}
	if err != nil {
		return ledger.Anchor{}, false, fmt.Errorf("reading the ledger's head in ConfigMap %s/%s: %w; let swell-scaler get it", l.namespace(), ledger.AnchorName, err)
	}
	head, err := ledger.ParseHead(m.Data["head"])
	if err != nil {
		return ledger.Anchor{}, false, fmt.Errorf("reading the ledger's head in ConfigMap %s/%s: %w; nothing needs doing for the scaler, which keeps its own head there from now on: verify the ledger against a head of its log, since what was cut off before is not missed by itself",
			l.namespace(), ledger.AnchorName, err)
	}
	return ledger.Anchor{Head: head, Chain: m.Data["chain"], Writer: m.Data["writer"]}, true, nil
}

// followAnchor makes the ledger name the head that was kept last, and begins to read what it has from before. One that cannot be read is
// recorded: the scaler goes on without.
func (l *Loop) followAnchor(ctx context.Context) (begin func()) {
	anchor, kept, err := l.readAnchor(ctx)
	known := err == nil
	if !known {
		l.options.Log.Warn("ledger", "error", err)
	}
	if kept {
		l.ledger.Follow(anchor)
	}
	return func() {
		if !known {
			l.write(ledger.Entry{Phase: ledger.Note, Action: "problem", Object: "ledger", Reason: err.Error()})
		}
		head, err := l.ledger.Head()
		if err != nil {
			l.options.Log.Warn("ledger", "error", err)
		}
		go l.readRecords(err == nil && known && (!kept || anchor.Chain == head.Chain))
		go l.keepAnchor(ctx)
	}
}

// keepAnchor keeps the head outside of the ledger's folder, now and then, so that what is cut off the ledger or written anew is found.
func (l *Loop) keepAnchor(ctx context.Context) {
	var last ledger.Anchor
	for wait := firstAnchor; sleep(ctx, wait); wait = anchorEvery {
		head, err := l.ledger.Head()
		if err == nil && head != last && head.Seq > 0 {
			l.options.Log.Info("ledger head", "head", head.String(), "chain", head.Chain)
			head.Writer = l.options.Identity
			err = l.writeAnchor(ctx, head)
			head.Writer = ""
		}
		if err != nil && ctx.Err() == nil {
			l.options.Log.Warn("ledger", "error", err)
			continue
		}
		last = head
	}
}

func (l *Loop) writeAnchor(ctx context.Context, a ledger.Anchor) error {
	maps := l.options.Fence.CoreV1().ConfigMaps(l.namespace())
	data := map[string]string{"head": a.Head.String(), "chain": a.Chain, "writer": a.Writer}
	m, err := maps.Get(ctx, ledger.AnchorName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: l.namespace(), Name: ledger.AnchorName}, Data: data}, metav1.CreateOptions{})
	case err == nil:
		m = m.DeepCopy()
		m.Data = data
		_, err = maps.Update(ctx, m, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("keeping the ledger's head in ConfigMap %s/%s: %w; let swell-scaler get, create and update it", l.namespace(), ledger.AnchorName, err)
	}
	return nil
}
