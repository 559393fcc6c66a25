package history

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"swell/scaler/series"
)

const (
	// demandKey is where a ConfigMap has its record, and formerKey where the first versions had minutes as CSV.
	demandKey = "demand"
	formerKey = "demand.csv.gz"
	// HistoryLabel is on every checkpoint.
	HistoryLabel = "capacity.swell/history"
	// BalloonAnnotation has the namespace/name of the Balloon.
	BalloonAnnotation = "capacity.swell/balloon"
	// backfillAnnotation says what the past was filled from, so that it is not asked for again.
	backfillAnnotation = "capacity.swell/backfilled"
	goneAnnotation     = "capacity.swell/gone-since"
	// ImportedAnnotation says which hand-over was put into a ConfigMap.
	ImportedAnnotation = "capacity.swell/imported"
	// KeepGone is how long a checkpoint outlives its Balloon: one that is made anew finds its past.
	KeepGone = 24 * time.Hour

	saveTries = 3
)

// Checkpoints keeps records in ConfigMaps, so that they survive a restart and a fail-over without a volume.
type Checkpoints struct {
	Kube      kubernetes.Interface
	Namespace string
}

// Checkpoint is one as it was read.
type Checkpoint struct {
	Record *Record
	// Backfilled is what the past was filled from; empty is nothing yet.
	Backfilled string
	// KeptUntil is how long it outlives its Balloon, machine time; zero is KeepGone. An Update with zero leaves it as it is.
	KeptUntil time.Time
	// Imported changes when somebody else than the scaler has put a past here, so that one that runs reads it again; an Update
	// with nothing leaves it as it is.
	Imported string
}

// Name of a Balloon's ConfigMap: readable, and unique by the hash of namespace and name.
func Name(namespace, balloon string) string {
	sum := sha256.Sum256([]byte(namespace + "/" + balloon))
	readable := "swell-history-" + namespace + "-" + balloon
	if len(readable) > 200 {
		readable = strings.TrimRight(readable[:200], "-.")
	}
	return readable + "-" + hex.EncodeToString(sum[:5])
}

// Load is the checkpoint of a Balloon's workload; an empty record where there is none yet. One that cannot be read is an
// error, and no later Update overwrites it.
func (c Checkpoints) Load(ctx context.Context, namespace, balloon string) (Checkpoint, error) {
	m, err := c.get(ctx, Name(namespace, balloon))
	if err != nil {
		return Checkpoint{}, err
	}
	if m == nil {
		r, err := c.former(ctx, namespace, balloon)
		return Checkpoint{Record: r}, err
	}
	return c.read(m, namespace, balloon)
}

// get is nil where there is none.
func (c Checkpoints) get(ctx context.Context, name string) (*corev1.ConfigMap, error) {
	m, err := c.Kube.CoreV1().ConfigMaps(c.Namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the demand history in ConfigMap %s/%s: %w; see that you, or swell-scaler, may get ConfigMaps there", c.Namespace, name, err)
	}
	return m, nil
}

func (c Checkpoints) read(m *corev1.ConfigMap, namespace, balloon string) (Checkpoint, error) {
	if of := m.Annotations[BalloonAnnotation]; of != namespace+"/"+balloon {
		return Checkpoint{}, fmt.Errorf("reading the demand history of %s/%s: ConfigMap %s/%s says that it is of %q; delete it to begin anew", namespace, balloon, c.Namespace, m.Name, of)
	}
	r, err := Decode(m.BinaryData[demandKey])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("reading the demand history in ConfigMap %s/%s: %w; restore it from a backup, or delete it to begin anew", c.Namespace, m.Name, err)
	}
	return Checkpoint{Record: r, Backfilled: m.Annotations[backfillAnnotation], Imported: m.Annotations[ImportedAnnotation]}, nil
}

// former is what the first versions wrote, as a record; empty where there is none.
func (c Checkpoints) former(ctx context.Context, namespace, balloon string) (*Record, error) {
	name := "swell-history-" + namespace + "-" + balloon
	if len(name) > 253 {
		return &Record{}, nil
	}
	m, err := c.get(ctx, name)
	if err != nil || m == nil || len(m.BinaryData[formerKey]) == 0 {
		return &Record{}, err
	}
	z, err := gzip.NewReader(bytes.NewReader(m.BinaryData[formerKey]))
	var s series.Series
	if err == nil {
		s, err = series.Read(z, name)
	}
	if err == nil && s.Step != MinuteStep {
		err = fmt.Errorf("its step is %v, not a minute", s.Step)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the demand history in ConfigMap %s/%s: %w; delete it to begin anew", c.Namespace, name, err)
	}
	r := &Record{}
	r.Fill(s)
	return r, nil
}

// All are the checkpoints of the namespace by whose they are, namespace/name. One that cannot be read is an error
// that names it.
func (c Checkpoints) All(ctx context.Context) (map[string]Checkpoint, error) {
	list, err := c.Kube.CoreV1().ConfigMaps(c.Namespace).List(ctx, metav1.ListOptions{LabelSelector: HistoryLabel})
	if err != nil {
		return nil, fmt.Errorf("listing the demand histories in namespace %s: %w; see that you may list ConfigMaps there", c.Namespace, err)
	}
	all := map[string]Checkpoint{}
	for i := range list.Items {
		m := &list.Items[i]
		namespace, name, ok := strings.Cut(m.Annotations[BalloonAnnotation], "/")
		if !ok {
			continue
		}
		p, err := c.read(m, namespace, name)
		if err != nil {
			return nil, err
		}
		all[namespace+"/"+name] = p
	}
	return all, nil
}

// Append writes a tail to a Balloon's checkpoint, which is made where there is none.
func (c Checkpoints) Append(ctx context.Context, namespace, balloon string, t Tail) error {
	_, err := c.Update(ctx, namespace, balloon, func(p *Checkpoint) { p.Record.Add(t) })
	return err
}

// Update changes a Balloon's checkpoint as it is now, and gives what was written. Who else has written in between is read
// again, so that a leader that stood still does not undo what the next one wrote.
func (c Checkpoints) Update(ctx context.Context, namespace, balloon string, change func(*Checkpoint)) (Checkpoint, error) {
	name := Name(namespace, balloon)
	maps := c.Kube.CoreV1().ConfigMaps(c.Namespace)
	var err error
	for range saveTries {
		var m *corev1.ConfigMap
		if m, err = c.get(ctx, name); err != nil {
			return Checkpoint{}, err
		}
		var p Checkpoint
		if m != nil {
			p, err = c.read(m, namespace, balloon)
		} else {
			p.Record, err = c.former(ctx, namespace, balloon)
		}
		if err != nil {
			return Checkpoint{}, err
		}
		change(&p)
		next, err2 := c.object(m, p, namespace, balloon)
		if err2 != nil {
			return Checkpoint{}, err2
		}
		if m == nil {
			_, err = maps.Create(ctx, next, metav1.CreateOptions{})
		} else {
			_, err = maps.Update(ctx, next, metav1.UpdateOptions{})
		}
		if err == nil {
			return p, nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			break
		}
	}
	return Checkpoint{}, fmt.Errorf("writing the demand history to ConfigMap %s/%s: %w; see that the namespace is there, and let ConfigMaps be got, created and updated in it", c.Namespace, name, err)
}

func (c Checkpoints) object(m *corev1.ConfigMap, p Checkpoint, namespace, balloon string) (*corev1.ConfigMap, error) {
	raw, err := Encode(p.Record)
	if err != nil {
		return nil, fmt.Errorf("writing the demand history of %s/%s: %w", namespace, balloon, err)
	}
	if m == nil {
		m = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: Name(namespace, balloon)}}
	}
	if m.Labels == nil {
		m.Labels = map[string]string{}
	}
	m.Labels["app.kubernetes.io/managed-by"], m.Labels[HistoryLabel] = "swell-scaler", "demand"
	if m.Annotations == nil {
		m.Annotations = map[string]string{}
	}
	m.Annotations[BalloonAnnotation] = namespace + "/" + balloon
	delete(m.Annotations, goneAnnotation)
	if p.Backfilled != "" {
		m.Annotations[backfillAnnotation] = p.Backfilled
	}
	if p.Imported != "" {
		m.Annotations[ImportedAnnotation] = p.Imported
	}
	if !p.KeptUntil.IsZero() {
		m.Annotations[KeptUntilAnnotation] = p.KeptUntil.UTC().Format(time.RFC3339)
	}
	m.BinaryData = map[string][]byte{demandKey: raw}
	return m, nil
}

// Sweep deletes the checkpoints of Balloons that are gone for KeepGone. It gives what it deleted. Now is machine time.
func (c Checkpoints) Sweep(ctx context.Context, now time.Time, alive func(namespace, balloon string) bool) ([]string, error) {
	maps := c.Kube.CoreV1().ConfigMaps(c.Namespace)
	list, err := maps.List(ctx, metav1.ListOptions{LabelSelector: HistoryLabel})
	if err != nil {
		return nil, fmt.Errorf("listing the demand histories in namespace %s: %w; let swell-scaler list ConfigMaps there", c.Namespace, err)
	}
	var deleted []string
	for i := range list.Items {
		m := &list.Items[i]
		namespace, name, ok := strings.Cut(m.Annotations[BalloonAnnotation], "/")
		if !ok || alive(namespace, name) || kept(m.Annotations[KeptUntilAnnotation], now) {
			continue
		}
		since, err := time.Parse(time.RFC3339, m.Annotations[goneAnnotation])
		switch {
		case err != nil:
			m.Annotations[goneAnnotation] = now.UTC().Format(time.RFC3339)
			_, err = maps.Update(ctx, m, metav1.UpdateOptions{})
		case now.Sub(since) < KeepGone:
		default:
			err = maps.Delete(ctx, m.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &m.ResourceVersion}})
			deleted = append(deleted, namespace+"/"+name)
		}
		if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return deleted, fmt.Errorf("sweeping the demand history of %s/%s, whose Balloon is gone: %w", namespace, name, err)
		}
	}
	return deleted, nil
}
