package byhand

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const tries = 5

// Store is the ConfigMap of a cluster.
type Store struct {
	Kube      kubernetes.Interface
	Namespace string
}

// Read is what is asked for; nothing where there is no ConfigMap.
func (s Store) Read(ctx context.Context) (Orders, error) {
	m, err := s.Kube.CoreV1().ConfigMaps(s.Namespace).Get(ctx, Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return Orders{}, nil
	}
	if err != nil {
		return Orders{}, fmt.Errorf("reading what is asked for by hand in ConfigMap %s/%s: %w; see that you, or swell-scaler, may get ConfigMaps there", s.Namespace, Name, err)
	}
	return Parse(m.Data), nil
}

// Put writes an entry in place of the one with its key.
func (s Store) Put(ctx context.Context, e Entry) error {
	if err := e.Validate(); err != nil {
		return fmt.Errorf("writing %q: %w", e.Key(), err)
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("writing %q: %w", e.Key(), err)
	}
	return s.change(ctx, func(data map[string]string) { data[e.Key()] = string(raw) })
}

// Remove takes keys away, those that cannot be read included, and gives those that were there.
func (s Store) Remove(ctx context.Context, keys ...string) ([]string, error) {
	var removed []string
	err := s.change(ctx, func(data map[string]string) {
		removed = nil
		for _, k := range keys {
			if _, there := data[k]; there {
				removed = append(removed, k)
				delete(data, k)
			}
		}
	})
	return removed, err
}

// Sweep takes away what ended long ago, as it is now: an entry that was prolonged meanwhile stays.
func (s Store) Sweep(ctx context.Context, now time.Time) error {
	return s.change(ctx, func(data map[string]string) {
		for _, e := range Parse(data).Expired(now) {
			delete(data, e.Key())
		}
	})
}

// change writes by compare-and-swap, so that two people at once lose nothing of each other's.
func (s Store) change(ctx context.Context, edit func(map[string]string)) error {
	maps := s.Kube.CoreV1().ConfigMaps(s.Namespace)
	var err error
	for range tries {
		var m *corev1.ConfigMap
		m, err = maps.Get(ctx, Name, metav1.GetOptions{})
		missing := apierrors.IsNotFound(err)
		if missing {
			m = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: Name,
				Labels: map[string]string{"app.kubernetes.io/managed-by": "swell"}}}
		} else if err != nil {
			break
		}
		if m.Data == nil {
			m.Data = map[string]string{}
		}
		edit(m.Data)
		switch {
		case missing && len(m.Data) == 0:
			return nil
		case missing:
			_, err = maps.Create(ctx, m, metav1.CreateOptions{})
		default:
			_, err = maps.Update(ctx, m, metav1.UpdateOptions{})
		}
		if err == nil {
			return nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			break
		}
	}
	return fmt.Errorf("writing ConfigMap %s/%s: %w; see that the namespace is swell-scaler's and that you may get, create and update ConfigMaps in it", s.Namespace, Name, err)
}
