package handover

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"swell/scaler/history"
)

// LearnedLabel is on ConfigMaps of what swell-scaler has learned and is not of one workload.
const LearnedLabel = "capacity.swell/learned"

// Export is what a cluster has learned. Shares are those of its Balloons, by namespace/name.
func Export(ctx context.Context, kube kubernetes.Interface, namespace string, shares map[string]string, now time.Time) (File, error) {
	all, err := history.Checkpoints{Kube: kube, Namespace: namespace}.All(ctx)
	if err != nil {
		return File{}, err
	}
	f := File{At: now.UTC().Truncate(time.Second), Balloons: []Balloon{}, Learned: []Learned{}}
	for key, p := range all {
		raw, err := history.Encode(p.Record)
		if err != nil {
			return File{}, err
		}
		b := Balloon{Demand: raw, Backfilled: p.Backfilled, Share: shares[key]}
		b.Namespace, b.Name = split(key)
		f.Balloons = append(f.Balloons, b)
	}
	maps, err := kube.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{LabelSelector: LearnedLabel})
	if err != nil {
		return File{}, fmt.Errorf("listing what was learned in namespace %s: %w; see that you may list ConfigMaps there", namespace, err)
	}
	for _, m := range maps.Items {
		f.Learned = append(f.Learned, Learned{Name: m.Name, Data: m.Data, BinaryData: m.BinaryData})
	}
	return f, f.Seal()
}

// Moved is what an import did, or would do, with one history or one ConfigMap.
type Moved struct {
	What string `json:"what"` // history or learned
	Name string `json:"name"`
	// Rows of a history that became known.
	Rows int `json:"rows"`
	// Done is made, merged, or "nothing new".
	Done string `json:"done"`
}

// Options of an import.
type Options struct {
	// Namespace of swell-scaler's checkpoints.
	Namespace string
	// DryRun writes nothing.
	DryRun bool
	// KeptUntil is how long a history waits for its Balloon; machine time.
	KeptUntil time.Time
}

// Import merges a file into a cluster. What was sampled or learned there already stays; a second import changes nothing.
func Import(ctx context.Context, kube kubernetes.Interface, f File, o Options) ([]Moved, error) {
	moved := []Moved{}
	points := history.Checkpoints{Kube: kube, Namespace: o.Namespace}
	for _, b := range f.Balloons {
		old, err := history.Decode(b.Demand)
		if err != nil {
			return moved, fmt.Errorf("importing the history of Balloon %s: %w; export it again", b.Key(), err)
		}
		here, err := points.Load(ctx, b.Namespace, b.Name)
		if err != nil {
			return moved, err
		}
		was := here.Record.Empty()
		m := Moved{What: "history", Name: b.Key(), Rows: here.Record.Take(old)}
		switch {
		case m.Rows == 0:
			m.Done = "nothing new"
		case was:
			m.Done = "made"
		default:
			m.Done = "merged"
		}
		if m.Rows > 0 && !o.DryRun {
			_, err = points.Update(ctx, b.Namespace, b.Name, func(p *history.Checkpoint) {
				m.Rows, p.KeptUntil = p.Record.Take(old), o.KeptUntil
				if p.Backfilled == "" {
					p.Backfilled = b.Backfilled
				}
			})
		}
		if err != nil {
			return moved, err
		}
		moved = append(moved, m)
	}
	for _, l := range f.Learned {
		m, err := learned(ctx, kube, l, o)
		if err != nil {
			return moved, err
		}
		moved = append(moved, m)
	}
	return moved, nil
}

// learned makes a ConfigMap of what was learned where there is none: what the new cluster has learned by itself is truer there.
func learned(ctx context.Context, kube kubernetes.Interface, l Learned, o Options) (Moved, error) {
	maps, done := kube.CoreV1().ConfigMaps(o.Namespace), Moved{What: "learned", Name: l.Name, Done: "made"}
	_, err := maps.Get(ctx, l.Name, metav1.GetOptions{})
	if err == nil {
		done.Done = "nothing new"
		return done, nil
	}
	if apierrors.IsNotFound(err) && o.DryRun {
		return done, nil
	}
	if apierrors.IsNotFound(err) {
		_, err = maps.Create(ctx, &corev1.ConfigMap{Data: l.Data, BinaryData: l.BinaryData, ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: l.Name,
			Labels: map[string]string{"app.kubernetes.io/managed-by": "swell-scaler", LearnedLabel: "true"}}}, metav1.CreateOptions{})
	}
	if err != nil {
		return done, fmt.Errorf("importing ConfigMap %s/%s: %w; see that you may get and create ConfigMaps there", o.Namespace, l.Name, err)
	}
	return done, nil
}

func split(key string) (namespace, name string) {
	namespace, name, _ = strings.Cut(key, "/")
	return namespace, name
}
