package history

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"swell/scaler/series"
)

const seriesKey = "demand.csv.gz"

// Checkpoints keeps live samples in ConfigMaps, so that they survive a restart and a fail-over without a volume.
type Checkpoints struct {
	Kube      kubernetes.Interface
	Namespace string
}

func (c Checkpoints) name(namespace, balloon string) string {
	return "swell-history-" + namespace + "-" + balloon
}

// Load is the checkpoint of a Balloon's workload; an empty series where there is none yet.
func (c Checkpoints) Load(ctx context.Context, namespace, balloon string) (series.Series, error) {
	name := c.name(namespace, balloon)
	m, err := c.Kube.CoreV1().ConfigMaps(c.Namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return series.Series{}, nil
	}
	if err != nil {
		return series.Series{}, fmt.Errorf("reading the demand history in ConfigMap %s/%s: %w", c.Namespace, name, err)
	}
	s, err := decode(m.BinaryData[seriesKey], name)
	if err != nil {
		return series.Series{}, fmt.Errorf("reading the demand history in ConfigMap %s/%s: %w; delete it to begin anew", c.Namespace, name, err)
	}
	return s, nil
}

// Save writes a checkpoint.
func (c Checkpoints) Save(ctx context.Context, namespace, balloon string, s series.Series) error {
	name := c.name(namespace, balloon)
	raw, err := encode(s)
	if err != nil {
		return fmt.Errorf("writing the demand history of %s/%s: %w", namespace, balloon, err)
	}
	m := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: name},
		BinaryData: map[string][]byte{seriesKey: raw},
	}
	maps := c.Kube.CoreV1().ConfigMaps(c.Namespace)
	if _, err = maps.Update(ctx, m, metav1.UpdateOptions{}); apierrors.IsNotFound(err) {
		_, err = maps.Create(ctx, m, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("writing the demand history to ConfigMap %s/%s: %w", c.Namespace, name, err)
	}
	return nil
}

func encode(s series.Series) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := series.Write(z, s); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func decode(raw []byte, name string) (series.Series, error) {
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return series.Series{}, err
	}
	return series.Read(z, name)
}
