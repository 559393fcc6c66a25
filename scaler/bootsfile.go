package scaler

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/nodegroups/learn"
)

const (
	// BootsConfigMap has what was learned of instances, in the namespace of the histories' checkpoints.
	BootsConfigMap = "swell-scaler-boots"
	// BootsKey and CapacityKey are gzipped JSON: learn.Boots and learn.Capacity.
	BootsKey    = "boots.json.gz"
	CapacityKey = "capacity.json.gz"
	mostBoots   = 16 << 20 // bytes of JSON, far above what is ever written
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
	m, err := l.kube.CoreV1().ConfigMaps(ns).Get(ctx, BootsConfigMap, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return
	}
	if err == nil {
		err = mergeBoots(m, now, l.leads.boots, l.capacity)
	}
	if err != nil {
		l.options.Log.Warn("loading boot times", "configMap", ns+"/"+BootsConfigMap, "error", err)
	}
}

// mergeBoots adds what a ConfigMap has.
func mergeBoots(m *corev1.ConfigMap, now time.Time, boots *learn.Boots, capacity *learn.Capacity) error {
	for key, merge := range map[string]func([]byte) error{BootsKey: boots.Merge, CapacityKey: func(raw []byte) error { return capacity.Merge(now, raw) }} {
		packed := m.BinaryData[key]
		if len(packed) == 0 {
			continue
		}
		z, err := gzip.NewReader(bytes.NewReader(packed))
		var raw []byte
		if err == nil {
			raw, err = io.ReadAll(io.LimitReader(z, mostBoots))
		}
		if err == nil {
			err = merge(raw)
		}
		if err != nil {
			return fmt.Errorf("reading %s of ConfigMap %s/%s: %w", key, m.Namespace, m.Name, err)
		}
	}
	return nil
}

// saveBoots writes what was learned beside the loop, when its turn has come.
func (l *Loop) saveBoots(ctx context.Context, now time.Time) {
	ns, turn := l.options.Config.History.Checkpoints, saveTurn(BootsConfigMap, now)
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
		m, err = maps.Get(ctx, BootsConfigMap, metav1.GetOptions{})
		fresh := apierrors.IsNotFound(err)
		if err != nil && !fresh {
			break
		}
		all, err2 := learn.NewBoots(learn.BootOptions{})
		if err2 != nil {
			return err2
		}
		if fresh {
			m = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: BootsConfigMap, Labels: map[string]string{"app.kubernetes.io/managed-by": "swell-scaler"}}}
		} else if err2 := mergeBoots(m, time.Time{}, all, learn.NewCapacity()); err2 != nil {
			return err2 // not overwritten: it may be repaired
		}
		if err2 := all.Merge(boots); err2 != nil {
			return err2
		}
		merged, err2 := json.Marshal(all)
		if err2 != nil {
			return fmt.Errorf("writing boot times: %w", err2)
		}
		m.BinaryData = map[string][]byte{BootsKey: packed(merged), CapacityKey: packed(capacity)}
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
	return fmt.Errorf("writing boot times to ConfigMap %s/%s: %w; let swell-scaler get, create and update ConfigMaps there", ns, BootsConfigMap, err)
}

func packed(raw []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(raw) // a buffer takes all
	_ = z.Close()
	return b.Bytes()
}
