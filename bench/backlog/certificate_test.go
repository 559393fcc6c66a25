package backlog_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/bench/testbed/stack"
)

// A certificate that nobody knows is a condition on the object and an error on the metric; once the file is right it goes on
// without a restart, and the other cluster was never touched by it.
func TestABrokenCertificateIsSaid(t *testing.T) {
	authority := filepath.Join(t.TempDir(), "ca.crt")
	write := func(pem []byte) {
		t.Helper()
		if err := os.WriteFile(authority, pem, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t, map[string]int{"plain": partitions}, func(r *rig) stack.MetricsOptions {
		write(r.Cluster.FrontProxyCA())
		secure := r.secureKafka(t).ListenAddrs()
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(r.Cluster.CA())
		commitEndsAt(t, "secret", kgo.SeedBrokers(secure...), kgo.DialTLSConfig(&tls.Config{RootCAs: roots}))
		more := config.KafkaCluster{Name: "secure", Brokers: secure, TLS: &config.KafkaTLS{CAFile: authority}}
		return stack.MetricsOptions{More: []config.KafkaCluster{more}}
	})
	r.commitEnds(t, "plain")
	r.apply(t, workload{Name: "secret", Replicas: 1, PerPod: 10, Cluster: "secure"})
	r.apply(t, workload{Name: "plain", Replicas: 1, PerPod: 10})

	r.eventually(t, "the object says what is wrong", func() error {
		c := r.condition(t, "secret", "Ready")
		if c.Status != metav1.ConditionFalse || !strings.Contains(c.Message, "certificate") || !strings.Contains(c.Message, "caFile") {
			return fmt.Errorf("condition %+v", c)
		}
		return nil
	})
	if _, err := r.external(t.Context(), "kafka_consumergroup_desired_replicas", "consumer=secret"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("the metric gives %v, want an error that names the certificate", err)
	}
	r.eventually(t, "the other cluster is read", func() error {
		_, err := r.external(t.Context(), "kafka_consumergroup_desired_replicas", "consumer=plain")
		return err
	})
	write(r.Cluster.CA())
	r.eventually(t, "the mended file is used", func() error {
		_, err := r.external(t.Context(), "kafka_consumergroup_desired_replicas", "consumer=secret")
		return err
	})
}

// secureKafka is a Kafka cluster whose certificate the control plane's authority signed.
func (r *rig) secureKafka(t *testing.T) *kfake.Cluster {
	t.Helper()
	cert, key, err := r.Cluster.ServingCert("kafka")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	secure, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, "secret"), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(secure.Close)
	return secure
}

// external reads an external metric through the API server.
func (r *rig) external(ctx context.Context, metric, selector string) (string, error) {
	raw, err := r.Kube.Discovery().RESTClient().Get().AbsPath("/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/"+metric).
		Param("labelSelector", selector).DoRaw(ctx)
	if err != nil {
		return "", errors.Join(err, errors.New(string(raw)))
	}
	return string(raw), nil
}
