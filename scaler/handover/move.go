package handover

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"swell/scaler/history"
	"swell/scaler/learned"
)

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
	maps, err := kube.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{LabelSelector: learned.Label})
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
	// Share of the old cluster when the file was written; empty where its Balloon was gone, and of what is no history.
	Share string `json:"share,omitempty"`
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
	// Now decides which marks of capacity are long over, and is when this cluster's share begins to count; model time.
	Now time.Time
}

// Import merges a file into a cluster. What was sampled or learned there already stays; a second import changes nothing. What
// cannot be merged keeps nothing else from it: the error names each, and what moved is given all the same.
func Import(ctx context.Context, kube kubernetes.Interface, f File, o Options) ([]Moved, error) {
	moved := []Moved{}
	points := history.Checkpoints{Kube: kube, Namespace: o.Namespace}
	var failed []error
	note := func(m Moved, err error) (goOn bool) {
		if err != nil {
			failed = append(failed, err)
			var transport *url.Error
			return !errors.As(err, &transport) // who does not answer once is not asked for each
		}
		moved = append(moved, m)
		return true
	}
	for _, b := range f.Balloons {
		if !note(takeHistory(ctx, points, b, o, f.mark(o))) {
			return moved, errors.Join(failed...)
		}
	}
	for _, l := range f.Learned {
		if !note(learnedMap(ctx, kube, l, o, f.mark(o))) {
			break
		}
	}
	return moved, errors.Join(failed...)
}

// takeHistory merges one Balloon's history into its checkpoint.
func takeHistory(ctx context.Context, points history.Checkpoints, b Balloon, o Options, mark string) (Moved, error) {
	m := Moved{What: "history", Name: b.Key(), Share: b.Share}
	old, err := history.Decode(b.Demand)
	if err != nil {
		return m, fmt.Errorf("importing the history of Balloon %s: %w; export it again", b.Key(), err)
	}
	here, err := points.Load(ctx, b.Namespace, b.Name)
	if err != nil {
		return m, err
	}
	was := here.Record.Empty()
	m.Rows = here.Record.Take(old, o.Now)
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
			m.Rows, p.KeptUntil, p.Imported = p.Record.Take(old, o.Now), o.KeptUntil, mark
			if p.Backfilled == "" {
				p.Backfilled = b.Backfilled
			}
		})
	}
	return m, err
}

// learnedMap makes a ConfigMap of what was learned, or merges it into that which is there. One whose content is not known stays
// as it is there.
func learnedMap(ctx context.Context, kube kubernetes.Interface, l Learned, o Options, mark string) (Moved, error) {
	maps, done := kube.CoreV1().ConfigMaps(o.Namespace), Moved{What: "learned", Name: l.Name, Done: "made"}
	var err error
	for range 3 {
		var m *corev1.ConfigMap
		m, err = maps.Get(ctx, l.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			if err = nil; !o.DryRun {
				_, err = maps.Create(ctx, &corev1.ConfigMap{Data: l.Data, BinaryData: l.BinaryData, ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: l.Name,
					Annotations: map[string]string{history.ImportedAnnotation: mark},
					Labels:      map[string]string{"app.kubernetes.io/managed-by": "swell-scaler", learned.Label: "true"}}}, metav1.CreateOptions{})
			}
		case err == nil:
			var news bool
			if news, err = mergeLearned(m, l, o.Now); !news {
				done.Done = "nothing new"
				break
			}
			if done.Done = "merged"; !o.DryRun {
				metav1.SetMetaDataAnnotation(&m.ObjectMeta, history.ImportedAnnotation, mark)
				_, err = maps.Update(ctx, m, metav1.UpdateOptions{})
			}
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			break
		}
	}
	if err != nil {
		return done, fmt.Errorf("importing ConfigMap %s/%s: %w; see that you may get, create and update ConfigMaps there", o.Namespace, l.Name, err)
	}
	return done, nil
}

// mergeLearned adds to a ConfigMap what a file has, and says whether that was news.
func mergeLearned(m *corev1.ConfigMap, l Learned, now time.Time) (bool, error) {
	if l.Name != learned.ConfigMap {
		return false, nil
	}
	merged, news, err := learned.Merge(m.BinaryData, l.BinaryData, now)
	if err != nil || !news {
		return false, err
	}
	if m.BinaryData == nil {
		m.BinaryData = map[string][]byte{}
	}
	for key, raw := range merged {
		m.BinaryData[key] = raw
	}
	if m.Labels == nil {
		m.Labels = map[string]string{}
	}
	m.Labels[learned.Label] = "true"
	return true, nil
}

// mark tells this import from every other.
func (f File) mark(o Options) string {
	return o.Now.UTC().Format(time.RFC3339Nano) + " " + f.Sum[:min(8, len(f.Sum))]
}

func split(key string) (namespace, name string) {
	namespace, name, _ = strings.Cut(key, "/")
	return namespace, name
}
