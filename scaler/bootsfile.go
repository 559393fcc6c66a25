package scaler

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/nodegroups/learn"
	"swell/scaler/learned"
)

// bootsFile is how what was learned of instances is kept.
type bootsFile struct {
	dirty, saving bool
	turn          int64
	problem       string
}

// loadBoots reads what a predecessor has learned. Without it boots are learned from the nodes that run.
func (l *Loop) loadBoots(ctx context.Context, now time.Time) {
	ns := l.options.Config.History.Checkpoints
	if ns == "" {
		return
	}
	m, err := l.kube.CoreV1().ConfigMaps(ns).Get(ctx, learned.ConfigMap, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return
	}
	if err == nil {
		err = learned.Read(m.BinaryData, now, l.leads.boots, l.capacity)
	}
	if err != nil {
		l.options.Log.Warn("loading boot times", "configMap", ns+"/"+learned.ConfigMap, "error", err)
	}
}

// saveBoots writes what was learned beside the loop, when its turn has come.
func (l *Loop) saveBoots(ctx context.Context, now time.Time) {
	ns, turn := l.options.Config.History.Checkpoints, saveTurn(learned.ConfigMap, now)
	if ns == "" || !l.boots.dirty || l.boots.saving || turn == l.boots.turn {
		return
	}
	boots, err := json.Marshal(l.leads.boots)
	var capacity []byte
	if err == nil {
		capacity, err = json.Marshal(l.capacity)
	}
	if err != nil {
		l.options.Log.Error("saving boot times", "error", err)
		return
	}
	l.boots.turn, l.boots.saving, l.boots.dirty = turn, true, false
	l.background(ctx, l.jobs.loads, func(ctx context.Context) func() {
		err := l.writeBoots(ctx, ns, boots, capacity)
		return func() {
			l.boots.saving, l.boots.problem = false, ""
			if err != nil {
				l.boots.dirty, l.boots.problem = true, err.Error()
				l.options.Log.Warn("saving boot times", "error", err)
			}
		}
	})
}

// writeBoots merges with what is stored, so that a scaler that stood still takes nothing away. Of capacity the newest word
// counts, as a success takes marks back.
func (l *Loop) writeBoots(ctx context.Context, ns string, boots, capacity []byte) error {
	maps := l.kube.CoreV1().ConfigMaps(ns)
	var err error
	for range 3 {
		var m *corev1.ConfigMap
		m, err = maps.Get(ctx, learned.ConfigMap, metav1.GetOptions{})
		fresh := apierrors.IsNotFound(err)
		if err != nil && !fresh {
			break
		}
		all, err2 := learn.NewBoots(learn.BootOptions{})
		if err2 != nil {
			return err2
		}
		if fresh {
			m = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: learned.ConfigMap, Labels: map[string]string{"app.kubernetes.io/managed-by": "swell-scaler"}}}
		} else if err2 := learned.Read(m.BinaryData, time.Time{}, all, learn.NewCapacity()); err2 != nil {
			return fmt.Errorf("writing boot times to ConfigMap %s/%s: %w", ns, m.Name, err2) // not overwritten: it may be repaired
		}
		if err2 := all.Merge(boots); err2 != nil {
			return err2
		}
		merged, err2 := json.Marshal(all)
		if err2 != nil {
			return fmt.Errorf("writing boot times: %w", err2)
		}
		m.BinaryData = learned.Data(merged, capacity)
		if m.Labels == nil {
			m.Labels = map[string]string{}
		}
		m.Labels[learned.Label] = "true"
		if fresh {
			_, err = maps.Create(ctx, m, metav1.CreateOptions{})
		} else {
			_, err = maps.Update(ctx, m, metav1.UpdateOptions{})
		}
		if err == nil {
			return nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			break
		}
	}
	return fmt.Errorf("writing boot times to ConfigMap %s/%s: %w; let swell-scaler get, create and update ConfigMaps there", ns, learned.ConfigMap, err)
}
