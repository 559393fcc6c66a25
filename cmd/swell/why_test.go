package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/metric"
	"swell/metrics/provider"
)

// whyServer is an API server with one QueueConsumer, its metric by partition and the HPAs of its namespace; an answer that is not there is
// refused as API servers do. It gives the path of its kubeconfig.
func whyServer(t *testing.T, answers map[string]string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		path := r.URL.Path
		if q := r.URL.RawQuery; q != "" && strings.Contains(path, "external.metrics") {
			path += "?" + q
		}
		body, ok := answers[path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			body = fmt.Sprintf(`{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": "nothing at %s"}`, r.URL.Path)
		}
		if code, text, bare := strings.Cut(body, " bare: "); bare { // as where nothing is served
			status, err := strconv.Atoi(code)
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			http.Error(w, text, status)
			return
		}
		if strings.HasPrefix(body, "503 ") {
			w.WriteHeader(http.StatusServiceUnavailable)
			body = fmt.Sprintf(`{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "ServiceUnavailable", "code": 503, "message": %q}`, body[4:])
		}
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return write(t, "kubeconfig", fmt.Sprintf(`
apiVersion: v1
kind: Config
clusters: [{name: here, cluster: {server: %q}}, {name: gone, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: me, user: {}}]
contexts: [{name: shop, context: {cluster: here, user: me, namespace: shop}}, {name: here, context: {cluster: here, user: me}}, {name: gone, context: {cluster: gone, user: me}}]
current-context: here
`, s.URL))
}

const (
	whyConsumer   = "/apis/capacity.swell/v1alpha1/namespaces/shop/queueconsumers/orders"
	whyPartitions = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/kafka_consumergroup_partition_lag?labelSelector=consumer%3Dorders"
	whyAll        = "/apis/capacity.swell/v1alpha1/namespaces/shop/queueconsumers"
	whyDeployment = "/apis/apps/v1/namespaces/shop/deployments/orders"
	whyHPAs       = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"
	whySpec       = `"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "orders"}, "kafka": {"cluster": "main", "group": "orders"},
		"lateAfter": "30s", "perPodRate": {"initial": "12"}}`
	ordersFormula = "lag 3000 in 12 partitions; N = (3000/60s + …) / 10/s a pod = 5.1 → 6"
)

func whyAnswers(now time.Time) map[string]string {
	var items []string
	for p := range 12 {
		items = append(items, fmt.Sprintf(`{"metricName": "kafka_consumergroup_partition_lag", "metricLabels": {"topic": "orders", "partition": "%d"}, "timestamp": %q, "value": "%d"}`,
			p, now.Add(-2*time.Second).UTC().Format(time.RFC3339), 100*p))
	}
	return map[string]string{
		whyConsumer: fmt.Sprintf(`{"apiVersion": "capacity.swell/v1alpha1", "kind": "QueueConsumer", "metadata": {"namespace": "shop", "name": "orders"}, %s,
			"status": {"lag": 3000, "lateMessages": 1200, "lateCount": "AtLeast", "lagSeconds": "42.50", "produceRate": "1.00", "consumeRate": "2.00", "perPodRate": "10.00",
			"desiredReplicas": 6, "why": %q, "sampledAt": %q, "partitions": {"known": 12, "total": 12},
			"conditions": [{"type": "Ready", "status": "True", "reason": "Sampled", "message": "group orders is read", "lastTransitionTime": %q},
			{"type": "HotPartition", "status": "True", "reason": "OnePodAPartition", "message": "orders/11 has 1100 messages", "lastTransitionTime": %q}]}}`,
			whySpec, ordersFormula, now.Add(-40*time.Second).UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339)),
		whyDeployment: `{"kind": "Deployment", "metadata": {"namespace": "shop", "name": "orders"}}`,
		whyPartitions: fmt.Sprintf(`{"kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "items": [%s]}`, strings.Join(items, ",")),
		whyHPAs: `{"kind": "HorizontalPodAutoscalerList", "apiVersion": "autoscaling/v2", "items": [
			{"metadata": {"name": "orders"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "orders"}, "maxReplicas": 4, "metrics": [{"type": "External", "external": {
				"metric": {"name": "kafka_consumergroup_desired_replicas", "selector": {"matchLabels": {"consumer": "orders"}}}, "target": {"type": "Value", "value": "1"}}}]},
			 "status": {"currentReplicas": 4, "desiredReplicas": 4, "conditions": [{"type": "ScalingActive", "status": "False", "reason": "FailedGetExternalMetric", "message": "EOF"}]}},
			{"metadata": {"name": "by-group"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "other"}, "maxReplicas": 9, "metrics": [{"type": "External", "external": {
				"metric": {"name": "kafka_consumergroup_lag", "selector": {"matchLabels": {"cluster": "main", "group": "orders", "topic": "orders"}}}, "target": {"type": "AverageValue", "averageValue": "100"}}}]}, "status": {}},
			{"metadata": {"name": "web"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 9, "metrics": [{"type": "External", "external": {
				"metric": {"name": "kafka_consumergroup_lag", "selector": {"matchLabels": {"cluster": "main", "group": "mail"}}}, "target": {"type": "AverageValue", "averageValue": "100"}}}]}, "status": {}}]}`,
	}
}

func TestWhyTellsEverything(t *testing.T) {
	kubeconfig := whyServer(t, whyAnswers(time.Now()))
	code, stdout, stderr := swell(t, "why", "shop/orders", "--kubeconfig", kubeconfig)
	if code != 0 {
		t.Fatal(code, stderr)
	}
	for _, want := range []string{
		"group orders in Kafka cluster main, Deployment orders", "3000 messages (12 of 12 partitions are known)", "1200 messages older than 30s, at least", "42.50 s",
		"10.00 messages/s, learned", "6 replicas", ordersFormula, "HotPartition  True", "orders/11", "16.7 %", "HPA orders", "4 replicas, wants 4, 1 to 4 allowed",
		"FailedGetExternalMetric: EOF", "it holds the replicas while ScalingActive is False", "maxReplicas is 4", "give AverageValue", "behavior.scaleUp.tolerance", "it scales Deployment other",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout, "orders/1 ") || strings.Contains(stdout, "HPA web") {
		t.Errorf("more than the ten worst partitions, or an HPA that has nothing to do with it:\n%s", stdout)
	}
}

func TestWhyAsJSON(t *testing.T) {
	code, stdout, stderr := swell(t, "why", "shop/orders", "--json", "--context", "here", "--kubeconfig", whyServer(t, whyAnswers(time.Now())))
	var got whyOutput
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 {
		t.Fatal(code, err, stderr)
	}
	if *got.Lag != 3000 || *got.DesiredReplicas != 6 || got.PerPodRateFrom != "Learned" || got.Unknown != "" || len(got.Conditions) != 2 || len(got.HPAs) != 2 {
		t.Errorf("%+v", got)
	}
	if *got.AgeSeconds < 1 || *got.AgeSeconds > 30 {
		t.Errorf("age %g s, want that of the metric, which is younger than the status", *got.AgeSeconds)
	}
	if w := got.WorstPartitions; len(w) != 10 || w[0].Partition != "11" || w[0].Lag != 1100 || w[0].Share < 0.16 || w[0].Share > 0.17 || w[9].Partition != "2" {
		t.Errorf("%+v", w)
	}
}

func TestWhySaysWhatIsUnknown(t *testing.T) {
	answers := whyAnswers(time.Now())
	answers[whyConsumer] = fmt.Sprintf(`{"metadata": {"namespace": "shop", "name": "orders"}, %s, "status": {"perPodRate": "12.00", "conditions": [
		{"type": "Ready", "status": "False", "reason": "LagUnknown", "message": "3 of 12 partitions are known: orders/0: no leader", "lastTransitionTime": null}]}}`, whySpec)
	answers[whyPartitions] = "503 serve kafka_consumergroup_partition_lag: orders/0: no leader"
	delete(answers, whyHPAs)
	kubeconfig := whyServer(t, answers)
	code, stdout, stderr := swell(t, "why", "shop/orders", "--kubeconfig", kubeconfig)
	if code != 0 {
		t.Fatal(code, stderr)
	}
	for _, want := range []string{"sampled        not known now", "unknown        lag, late, oldest unread, λ produced, consumed, desired, partitions: 3 of 12 partitions are known: orders/0: no leader",
		"LagUnknown: as above", "HPA  unknown: nothing at", "12.00 messages/s, declared"} {
		if !strings.Contains(strings.Join(strings.Fields(stdout), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if n := strings.Count(stdout, "no leader"); n != 1 {
		t.Errorf("the reason is there %d times, want once:\n%s", n, stdout)
	}
	code, stdout, _ = swell(t, "why", "shop/orders", "--json", "--kubeconfig", kubeconfig)
	if code != 0 || !strings.Contains(stdout, `"lag": null`) || !strings.Contains(stdout, `"desiredReplicas": null`) {
		t.Errorf("code %d: an unknown is not null in\n%s", code, stdout)
	}
}

func TestTheAgeIsThatOfTheOldestPartition(t *testing.T) {
	now := time.Now()
	answers := whyAnswers(now)
	younger, older := now.Add(-2*time.Second).UTC().Format(time.RFC3339), now.Add(-20*time.Second).UTC().Format(time.RFC3339)
	answers[whyPartitions] = strings.Replace(answers[whyPartitions], younger, older, 1)
	_, stdout, stderr := swell(t, "why", "shop/orders", "--json", "--kubeconfig", whyServer(t, answers))
	var got whyOutput
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatal(err, stderr)
	}
	if got.SampledAt == nil || got.SampledAt.UTC().Format(time.RFC3339) != older {
		t.Errorf("sampled at %v, want %s: the lag is as old as its oldest part", got.SampledAt, older)
	}
}

func TestWhySaysWhyLatenessIsUnknown(t *testing.T) {
	answers := whyAnswers(time.Now())
	answers[whyConsumer] = strings.Replace(answers[whyConsumer], `"lateMessages": 1200, "lateCount": "AtLeast",`, "", 1)
	answers[strings.Replace(whyPartitions, "partition_lag", "late_messages", 1)] = "503 serve kafka_consumergroup_late_messages: the request budget is spent"
	code, stdout, stderr := swell(t, "why", "shop/orders", "--kubeconfig", whyServer(t, answers))
	if code != 0 || !strings.Contains(stdout, "late: serve kafka_consumergroup_late_messages: the request budget is spent") || !strings.Contains(stdout, "3000 messages") {
		t.Error(code, stderr, stdout)
	}
}

func TestWhyFailures(t *testing.T) {
	kubeconfig := whyServer(t, nil)
	for name, tc := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no name":        {nil, exitUsage, "no object was named; give NAMESPACE/NAME of a QueueConsumer"},
		"two names":      {[]string{"shop/orders", "shop/mails"}, exitUsage, "NAMESPACE/NAME"},
		"two namespaces": {[]string{"shop/orders", "-n", "store"}, exitUsage, "give one namespace"},
		"an odd name":    {[]string{"shop/../pods"}, exitUsage, "NAMESPACE/NAME"},
		"no kubeconfig":  {[]string{"shop/orders", "--kubeconfig", "nowhere"}, exitUsage, "nowhere"},
		"no context":     {[]string{"shop/orders", "--kubeconfig", kubeconfig, "--context", "moon"}, exitUsage, "moon"},
		"not there":      {[]string{"shop/orders", "--kubeconfig", kubeconfig}, exitFailed, "there is no QueueConsumer orders in namespace shop"},
		"no server":      {[]string{"shop/orders", "--kubeconfig", kubeconfig, "--context", "gone"}, exitFailed, "127.0.0.1:1"},
	} {
		code, _, stderr := swell(t, append([]string{"why"}, tc.args...)...)
		if code != tc.code || !strings.Contains(stderr, tc.says) {
			t.Errorf("%s: code %d, %s; want %d and %q", name, code, stderr, tc.code, tc.says)
		}
	}
}

func TestWhyTakesANamespaceAsKubectlDoes(t *testing.T) {
	kubeconfig := whyServer(t, whyAnswers(time.Now()))
	for _, args := range [][]string{{"orders", "-n", "shop"}, {"orders", "--namespace=shop"}, {"shop/orders", "-n", "shop"}, {"orders", "--context", "shop"}} {
		code, stdout, stderr := swell(t, append([]string{"why", "--kubeconfig", kubeconfig}, args...)...)
		if code != 0 || !strings.Contains(stdout, "QueueConsumer shop/orders") {
			t.Errorf("swell why %s: code %d, %s%s", strings.Join(args, " "), code, stdout, stderr)
		}
	}
	code, _, stderr := swell(t, "why", "--kubeconfig", kubeconfig, "orders")
	if code != exitFailed || !strings.Contains(stderr, "namespace default") {
		t.Errorf("code %d, %s: want the context's namespace", code, stderr)
	}
}

func TestWhySaysWhatThereIsInPlaceOfAName(t *testing.T) {
	list := func(names ...string) string {
		var items []string
		for _, n := range names {
			namespace, name, _ := strings.Cut(n, "/")
			items = append(items, fmt.Sprintf(`{"metadata": {"namespace": %q, "name": %q}}`, namespace, name))
		}
		return fmt.Sprintf(`{"items": [%s]}`, strings.Join(items, ","))
	}
	const everywhere = "/apis/capacity.swell/v1alpha1/queueconsumers"
	for name, tc := range map[string]struct {
		answers map[string]string
		says    string
	}{
		"a typo":            {map[string]string{whyAll: list("shop/order", "shop/mails")}, `there are mails, order; did you mean "order"?`},
		"nothing like it":   {map[string]string{whyAll: list("shop/mails")}, "in namespace shop; there are mails\n"},
		"another namespace": {map[string]string{whyAll: list(), everywhere: list("store/orders")}, `did you mean "store/orders"?`},
		"none":              {map[string]string{whyAll: list(), everywhere: list()}, "kubectl get queueconsumers -A"},
		"no kind":           {map[string]string{whyConsumer: "404 bare: 404 page not found"}, "install charts/swell/crds"},
	} {
		code, _, stderr := swell(t, "why", "shop/orders", "--kubeconfig", whyServer(t, tc.answers))
		if code != exitFailed || !strings.Contains(stderr, tc.says) {
			t.Errorf("%s: code %d, %s; want %q", name, code, stderr, tc.says)
		}
	}
}

func TestWhyWithoutTheMetricsAPI(t *testing.T) {
	const late, seconds = "late_messages", "lag_seconds"
	for answer, says := range map[string]string{
		"404 bare: 404 page not found":  "this cluster does not serve external.metrics.k8s.io/v1beta1: install swell-metrics with its APIService",
		"503 bare: service unavailable": "kubectl get apiservice v1beta1.external.metrics.k8s.io",
	} {
		answers := whyAnswers(time.Now())
		answers[whyConsumer] = strings.NewReplacer(`"lateMessages": 1200, "lateCount": "AtLeast", "lagSeconds": "42.50",`, "").Replace(answers[whyConsumer])
		for _, metric := range []string{"partition_lag", late, seconds} {
			answers[strings.Replace(whyPartitions, "partition_lag", metric, 1)] = answer
		}
		code, stdout, stderr := swell(t, "why", "shop/orders", "--kubeconfig", whyServer(t, answers))
		if code != 0 || strings.Count(stdout, says) != 1 || !strings.Contains(stdout, "late, oldest unread, partitions: ") {
			t.Errorf("code %d, want %q once and what is unknown by it\n%s%s", code, says, stdout, stderr)
		}
	}
}

func TestWhyNamesAMissingWorkload(t *testing.T) {
	answers := whyAnswers(time.Now())
	delete(answers, whyDeployment)
	answers[strings.TrimSuffix(whyDeployment, "/orders")] = `{"items": [{"metadata": {"name": "order"}}, {"metadata": {"name": "web"}}]}`
	code, stdout, stderr := swell(t, "why", "shop/orders", "--kubeconfig", whyServer(t, answers))
	if want := `there is no Deployment orders in namespace shop: create it, or correct spec.scaleTargetRef; there are order, web; did you mean "order"?`; code != 0 || !strings.Contains(stdout, want) {
		t.Errorf("code %d, no %q in\n%s%s", code, want, stdout, stderr)
	}
	answers[whyDeployment] = "404 bare: 404 page not found" // a kind that is served by another name
	if _, stdout, _ = swell(t, "why", "shop/orders", "--kubeconfig", whyServer(t, answers)); strings.Contains(stdout, "there is no Deployment") {
		t.Errorf("what cannot be told is told:\n%s", stdout)
	}
}

func TestWhyWritesForPeople(t *testing.T) {
	selector := metav1.LabelSelector{MatchLabels: map[string]string{"cluster": "main", "group": "orders"},
		MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "topic", Operator: metav1.LabelSelectorOpIn, Values: []string{"a", "b"}}, {Key: "late_after", Operator: metav1.LabelSelectorOpExists}}}
	answers := whyAnswers(time.Now())
	answers[whyConsumer] = strings.Replace(answers[whyConsumer], `"desiredReplicas": 6`, `"desiredReplicas": 1`, 1)
	answers[whyHPAs] = strings.NewReplacer(`"currentReplicas": 4`, `"currentReplicas": 1`, `"EOF"`,
		strconv.Quote("unable to get external metric shop/kafka_consumergroup_lag/"+selector.String()+": no answer")).Replace(answers[whyHPAs])
	code, stdout, stderr := swell(t, "why", "shop/orders", "--kubeconfig", whyServer(t, answers))
	if code != 0 {
		t.Fatal(code, stderr)
	}
	for _, want := range []string{"desired        1 replica\n", "1 replica, wants 4", "kafka_consumergroup_lag/cluster=main,group=orders,topic in (a,b),late_after: no answer"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout, "1 replicas") || strings.Contains(stdout, "MatchLabels") {
		t.Error(stdout)
	}
}

func TestTheMetricsHaveTheServersNames(t *testing.T) {
	for name, served := range map[string]string{metric.Lag: provider.Lag, metric.LateMessages: provider.LateMessages, metric.LagSeconds: provider.LagSeconds,
		metric.ProduceRate: provider.ProduceRate, metric.ConsumeRate: provider.ConsumeRate, metric.DesiredReplicas: provider.DesiredReplicas, metric.PartitionLag: provider.PartitionLag} {
		if name != served || !provider.Own(name) {
			t.Errorf("%s is served as %s", name, served)
		}
	}
}
