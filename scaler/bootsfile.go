package scaler

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/scaler/history"
	"swell/scaler/learned"
)

// bootsFile is how what was learned of instances is kept.
type bootsFile struct {
	dirty, saving bool
	turns         saveTurns
	problem       string
	imported      string // the hand-over that was taken over
}

// news says whether something was learned that is to be kept.
func (f *bootsFile) news(is bool) { f.dirty = f.dirty || is }

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
		err = l.takeBoots(m, now)
	}
	if err != nil {
		l.options.Log.Warn("loading boot times", "configMap", ns+"/"+learned.ConfigMap, "error", err)
	}
}

// takeBoots adds what a ConfigMap has to what is known.
func (l *Loop) takeBoots(m *corev1.ConfigMap, now time.Time) error {
	l.boots.imported = m.Annotations[history.ImportedAnnotation]
	return l.known.Take(now, m.BinaryData)
}

// saveBoots writes what was learned beside the loop, when its turn has come. What was imported since is taken over.
func (l *Loop) saveBoots(ctx context.Context, now time.Time) {
	ns, write, imported := l.options.Config.History.Checkpoints, l.boots.dirty, l.boots.imported
	if ns == "" || l.boots.saving || !l.boots.turns.take(saveTurn(learned.ConfigMap, now), write) {
		return
	}
	boots, capacity, err := l.known.JSON()
	if err != nil {
		l.options.Log.Error("saving boot times", "error", err)
		return
	}
	l.boots.saving, l.boots.dirty = true, false
	l.background(ctx, l.jobs.loads, func(ctx context.Context) func() {
		m, err := l.keepBoots(ctx, now, ns, boots, capacity, write, imported)
		return func() {
			l.boots.saving, l.boots.problem = false, ""
			if err == nil && m != nil && m.Annotations[history.ImportedAnnotation] != imported {
				if err = l.takeBoots(m, now); err == nil {
					l.options.Log.Info("took over imported boot times", "import", l.boots.imported)
				}
			}
			if err != nil {
				l.boots.dirty, l.boots.problem = l.boots.dirty || write, err.Error()
				l.options.Log.Warn("saving boot times", "error", err)
			}
		}
	})
}

// keepBoots writes what was learned, and gives the ConfigMap as it then is; without news it is only read, and may be nil.
func (l *Loop) keepBoots(ctx context.Context, now time.Time, ns string, boots, capacity []byte, write bool, imported string) (*corev1.ConfigMap, error) {
	if write {
		return l.writeBoots(ctx, now, ns, boots, capacity, imported)
	}
	m, err := l.kube.CoreV1().ConfigMaps(ns).Get(ctx, learned.ConfigMap, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading boot times from ConfigMap %s/%s: %w; let swell-scaler get ConfigMaps there", ns, learned.ConfigMap, err)
	}
	return m, nil
}

// writeBoots adds what was learned to what is stored. It gives what was written; now is model time.
func (l *Loop) writeBoots(ctx context.Context, now time.Time, ns string, boots, capacity []byte, imported string) (*corev1.ConfigMap, error) {
	maps := l.kube.CoreV1().ConfigMaps(ns)
	var err error
	for range 3 {
		var m *corev1.ConfigMap
		m, err = maps.Get(ctx, learned.ConfigMap, metav1.GetOptions{})
		fresh := apierrors.IsNotFound(err)
		if err != nil && !fresh {
			break
		}
		if fresh {
			m = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: learned.ConfigMap, Labels: map[string]string{"app.kubernetes.io/managed-by": "swell-scaler"}}}
		}
		data, err2 := learned.Add(m.BinaryData, now, boots, capacity, m.Annotations[history.ImportedAnnotation] != imported)
		if err2 != nil {
			return nil, fmt.Errorf("writing boot times to ConfigMap %s/%s: %w", ns, m.Name, err2) // not overwritten: it may be repaired
		}
		m.BinaryData = data
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
			return m, nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			break
		}
	}
	return nil, fmt.Errorf("writing boot times to ConfigMap %s/%s: %w; let swell-scaler get, create and update ConfigMaps there", ns, learned.ConfigMap, err)
}
