package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/metrics/pkg/apis/custom_metrics"
	"k8s.io/metrics/pkg/apis/external_metrics"
	basecmd "sigs.k8s.io/custom-metrics-apiserver/pkg/cmd"
	metrics "sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
)

// theirs is what another metrics server knows: one external metric, one of pods, and a name that is swell's.
type theirs struct{}

func (theirs) ListAllExternalMetrics() []metrics.ExternalMetricInfo {
	return []metrics.ExternalMetricInfo{{Metric: "queue_depth"}, {Metric: "kafka_consumergroup_lag"}}
}

func (theirs) GetExternalMetric(_ context.Context, ns string, s labels.Selector, info metrics.ExternalMetricInfo) (*external_metrics.ExternalMetricValueList, error) {
	if info.Metric != "queue_depth" {
		return nil, errors.New("the other server was asked for " + info.Metric)
	}
	return &external_metrics.ExternalMetricValueList{Items: []external_metrics.ExternalMetricValue{{MetricName: info.Metric,
		MetricLabels: map[string]string{"namespace": ns, "asked": s.String()}, Timestamp: metav1.Now(), Value: resource.MustParse("17500m")}}}, nil
}

func (theirs) ListAllMetrics() []metrics.CustomMetricInfo {
	return []metrics.CustomMetricInfo{{GroupResource: schema.GroupResource{Resource: "pods"}, Namespaced: true, Metric: "requests"}}
}

func (theirs) GetMetricByName(_ context.Context, name types.NamespacedName, info metrics.CustomMetricInfo, _ labels.Selector) (*custom_metrics.MetricValue, error) {
	if info.Metric != "requests" {
		return nil, metrics.NewMetricNotFoundForError(info.GroupResource, info.Metric, name.Name)
	}
	return &custom_metrics.MetricValue{DescribedObject: custom_metrics.ObjectReference{Kind: "Pod", APIVersion: "/v1", Namespace: name.Namespace, Name: name.Name},
		Metric: custom_metrics.MetricIdentifier{Name: info.Metric}, Timestamp: metav1.Now(), Value: resource.MustParse("12")}, nil
}

func (t theirs) GetMetricBySelector(ctx context.Context, ns string, s labels.Selector, info metrics.CustomMetricInfo, m labels.Selector) (*custom_metrics.MetricValueList, error) {
	v, err := t.GetMetricByName(ctx, types.NamespacedName{Namespace: ns, Name: s.String()}, info, m)
	if err != nil {
		return nil, err
	}
	return &custom_metrics.MetricValueList{Items: []custom_metrics.MetricValue{*v}}, nil
}

// otherServer runs another metrics server, which asks the API server who may read what.
func (r *rig) otherServer() (port int, stop func()) {
	r.t.Helper()
	kubeconfig, err := r.cluster.Kubeconfig("other-metrics", "system:masters")
	if err != nil {
		r.t.Fatal(err)
	}
	cert, key, err := r.cluster.ServingCert("other-metrics", "other.example")
	if err != nil {
		r.t.Fatal(err)
	}
	port = freePort(r.t)
	other := &basecmd.AdapterBase{Name: "other-metrics", FlagSet: pflag.NewFlagSet("other", pflag.ContinueOnError)}
	if err := other.Flags().Parse([]string{"--lister-kubeconfig", kubeconfig, "--authentication-kubeconfig", kubeconfig, "--authorization-kubeconfig", kubeconfig,
		"--bind-address", "127.0.0.1", "--secure-port", strconv.Itoa(port), "--tls-cert-file", cert, "--tls-private-key-file", key}); err != nil {
		r.t.Fatal(err)
	}
	other.WithExternalMetrics(theirs{})
	other.WithCustomMetrics(theirs{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- other.Run(ctx) }()
	stop = func() {
		cancel()
		if err, running := <-done; running {
			close(done)
			if err != nil {
				r.t.Errorf("the other metrics server: %v", err)
			}
		}
	}
	r.t.Cleanup(stop)
	return port, stop
}

// reads asks through the aggregator until the answer holds all that is wanted.
func (r *rig) reads(path string, wants ...string) {
	r.t.Helper()
	eventually(r.t, path, func() error {
		body, err := r.get(path)
		for _, want := range wants {
			if err == nil && !strings.Contains(body, want) {
				err = fmt.Errorf("no %s in it", want)
			}
		}
		if err != nil {
			return fmt.Errorf("%w: %s", err, body)
		}
		return nil
	})
}

// TestWhatIsNotSwellsIsPassedOn has another metrics server behind swell-metrics, and swell-metrics behind the aggregator.
func TestWhatIsNotSwellsIsPassedOn(t *testing.T) {
	r := newRig(t)
	r.kafkaDo(100, false)
	port, stopOther := r.otherServer()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, r.cluster.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	service := fmt.Sprintf("{url: 'https://127.0.0.1:%d', caFile: '%s', serverName: other.example}", port, ca)
	p := r.replica(fmt.Sprintf("passOn: {external: %s, custom: %s}\n", service, service), "--drain", "0s", "--reload-every", "100ms")
	for _, gv := range []string{external, custom} {
		if err := r.cluster.RegisterAPIService(t.Context(), gv, p.port, r.cluster.CA()); err != nil {
			t.Fatal(err)
		}
	}
	const em, cm = "/apis/external.metrics.k8s.io/v1beta1", "/apis/custom.metrics.k8s.io/v1beta2"
	r.reads(em+"/namespaces/shop/queue_depth?labelSelector=queue%3Dmails", `"value":"17500m"`, `"asked":"queue=mails"`, `"namespace":"shop"`)
	r.reads(cm+"/namespaces/shop/pods/web-1/requests", `"value":"12"`, `"name":"web-1"`)
	r.reads(cm+"/namespaces/shop/pods/*/requests?labelSelector=app%3Dweb", `"name":"app=web"`)
	const own = em + "/namespaces/shop/kafka_consumergroup_lag?labelSelector=cluster%3Dmain,group%3Dorders,topic%3Dorders"
	r.reads(own, `"value":"100"`)
	r.reads(em, "queue_depth", "kafka_consumergroup_lag")
	r.reads(cm, "pods/requests", "queueconsumers.capacity.swell/kafka_consumergroup_lag")
	if body, err := r.get(cm + "/namespaces/shop/pods/web-1/nothing"); err == nil || !strings.Contains(body, `"code":404`) || !strings.Contains(body, "for pods web-1") {
		t.Errorf("what neither has: %v: %s", err, body)
	}

	stopOther()
	if body, err := r.get(em + "/namespaces/shop/queue_depth"); err == nil || !strings.Contains(body, `"code":503`) || !strings.Contains(body, "passOn.external") {
		t.Errorf("while the other is down: %v: %s", err, body)
	}
	r.reads(own, `"value":"100"`)
	r.reads(em, "queue_depth", "kafka_consumergroup_lag")
	text, err := os.ReadFile(p.config)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(text), "passOn:")
	if err := os.WriteFile(p.config, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "passOn is reloaded", func() error {
		if body, err := r.get(em + "/namespaces/shop/queue_depth"); err == nil || !strings.Contains(body, `"code":404`) {
			return fmt.Errorf("%v: %s", err, body)
		}
		return nil
	})
}
