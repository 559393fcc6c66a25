package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"swell/metrics/kafka/auth/authtest"
)

const kafkaSecret = "not-for-eyes"

func fakeKafka(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3), kfake.SeedTopics(4, "orders"), kfake.SeedTopics(2, "payments")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// commit has a group commit on orders.
func commit(t *testing.T, c *kfake.Cluster, group string, opts ...kgo.Opt) {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(c.ListenAddrs()...), kgo.MaxVersions(kversion.V3_9_0()))...) // later, topics have ids
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = group, -1
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic = "orders"
	for n := range int32(4) {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition = n
		topic.Partitions = append(topic.Partitions, p)
	}
	req.Topics = append(req.Topics, topic)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	resp, err := req.RequestWith(ctx, client)
	if err != nil || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatal(err, resp)
	}
}

// checkKafka runs the command and reads its report of the first cluster.
func checkKafka(t *testing.T, yaml string, args ...string) (int, kafkaReport, string) {
	t.Helper()
	path := write(t, "metrics.yaml", yaml)
	code, out, errs := swell(t, append([]string{"check", "kafka", "--config", path, "--json"}, args...)...)
	if strings.Contains(out+errs, kafkaSecret) {
		t.Errorf("the secret is printed:\n%s%s", out, errs)
	}
	var got kafkaOutput
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Clusters) == 0 {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	if (code == 0) != got.OK || (code == 0) != (errs == "") || code == 2 {
		t.Errorf("exit %d with ok %t\n%s", code, got.OK, errs)
	}
	return code, got.Clusters[0], out
}

func cluster(c *kfake.Cluster, more string) string {
	return fmt.Sprintf("clusters: [{name: main, brokers: ['%s'], requestTimeout: 5s%s}]", strings.Join(c.ListenAddrs(), "', '"), more)
}

// step is the only step with a name and a place; an empty place is any.
func step(t *testing.T, r kafkaReport, name, at string) kafkaStep {
	t.Helper()
	for _, s := range r.Steps {
		if s.Step == name && (at == "" || s.At == at) {
			return s
		}
	}
	t.Fatalf("there is no step %s %s in %+v", name, at, r.Steps)
	return kafkaStep{}
}

func wantStep(t *testing.T, s kafkaStep, status stepStatus, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(s.What, w) {
			t.Errorf("%s %s: %q does not say %q", s.Step, s.At, s.What, w)
		}
	}
	if s.Status != status {
		t.Errorf("%s %s is %s, not %s: %s", s.Step, s.At, s.Status, status, s.What)
	}
}

func TestCheckKafkaThatWorks(t *testing.T) {
	c := fakeKafka(t)
	commit(t, c, "shop")
	code, r, out := checkKafka(t, cluster(c, ""), "--group", "shop", "--group", "nobody", "--topic", "orders")
	if code != 0 || !r.OK {
		t.Errorf("exit %d\n%s", code, out)
	}
	wantStep(t, step(t, r, "group", "shop"), stepOK, "commits of 4 partitions")
	wantStep(t, step(t, r, "group", "nobody"), stepWarning, "no group of that name", "there are shop")
	wantStep(t, step(t, r, "topic", "orders"), stepOK, "4 partitions", "describe, describe configs, read")
	wantStep(t, step(t, r, "share groups", ""), stepOK, "can be read")
	wantStep(t, step(t, r, "metadata", ""), stepOK, "brokers: 3")
	code, r, out = checkKafka(t, cluster(c, ""))
	wantStep(t, step(t, r, "groups", ""), stepOK, "1 may be described")
	wantStep(t, step(t, r, "topics", ""), stepOK, "2 may be described")
	if code != 0 || strings.Count(out, `"step": "resolve"`) != 3 {
		t.Errorf("exit %d\n%s", code, out)
	}
	code, out, _ = swell(t, "check", "kafka", "--config", write(t, "metrics.yaml", cluster(c, "")))
	if code != 0 || !strings.Contains(out, "cluster main\n") || !strings.Contains(out, "  ok  versions ") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func acl(resource kmsg.ACLResourceType, name string, operation kmsg.ACLOperation) kfake.ACL {
	return kfake.ACL{Resource: resource, Name: name, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: operation, Allow: true}
}

func TestCheckKafkaTellsWhichACLsAreMissing(t *testing.T) {
	const group, topic = kmsg.ACLResourceTypeGroup, kmsg.ACLResourceTypeTopic
	c := fakeKafka(t, kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("PLAIN", "admin", "admin"),
		kfake.User("PLAIN", "swell", kafkaSecret, acl(group, "shop", kmsg.ACLOperationDescribe), acl(topic, "orders", kmsg.ACLOperationDescribe),
			acl(group, "blind", kmsg.ACLOperationDescribe)),
		kfake.User("PLAIN", "nobody", kafkaSecret))
	admin := kgo.SASL(plain.Auth{User: "admin", Pass: "admin"}.AsMechanism())
	commit(t, c, "shop", admin)
	commit(t, c, "other", admin)
	login := func(user string) string {
		return fmt.Sprintf(", proveEmpty: true, sasl: {mechanism: PLAIN, username: %s, passwordFile: '%s'}", user, write(t, "password", kafkaSecret))
	}
	code, r, _ := checkKafka(t, cluster(c, login("swell")), "--group", "shop", "--group", "other", "--topic", "orders", "--topic", "payments", "--topic", "nowhere")
	if code != 1 {
		t.Errorf("exit %d", code)
	}
	wantStep(t, step(t, r, "login", ""), stepOK, `PLAIN as user "swell"`)
	wantStep(t, step(t, r, "tls", ""), stepWarning, "plain text", "clusters[name=main].tls")
	wantStep(t, step(t, r, "group", "shop"), stepOK, "commits of 4 partitions")
	wantStep(t, step(t, r, "group", "other"), stepFailed, "kafka-acls --bootstrap-server "+c.ListenAddrs()[0], "--allow-principal User:swell --operation Describe --group 'other'")
	wantStep(t, step(t, r, "topic", "payments"), stepFailed, "--operation Describe --topic 'payments'")
	var orders []kafkaStep
	for _, s := range r.Steps {
		if s.Step == "topic" && s.At == "orders" {
			orders = append(orders, s)
		}
	}
	if len(orders) != 3 {
		t.Fatalf("%+v", orders)
	}
	wantStep(t, orders[0], stepOK, "may describe")
	wantStep(t, orders[1], stepWarning, "--operation DescribeConfigs --topic 'orders'")
	wantStep(t, orders[2], stepFailed, "clusters[name=main].proveEmpty", "--operation Read --topic 'orders'")

	_, r, _ = checkKafka(t, cluster(c, login("nobody")))
	wantStep(t, step(t, r, "groups", ""), stepWarning, "grant Describe")
	wantStep(t, step(t, r, "topics", ""), stepWarning, "grant Describe")
}

func TestCheckKafkaOverTLS(t *testing.T) {
	a, other := authtest.NewAuthority(t, "ours"), authtest.NewAuthority(t, "theirs")
	dir := t.TempDir()
	month := time.Now().Add(30 * 24 * time.Hour)
	server := func(until time.Time) kfake.Opt {
		return kfake.TLS(&tls.Config{Certificates: []tls.Certificate{a.Server(until).TLS(t)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.Pool()})
	}
	cert, key := a.Client("swell", month).Write(t, dir, "swell")
	soonCert, soonKey := a.Client("swell", time.Now().Add(time.Hour)).Write(t, dir, "soon")
	ca, otherCA := authtest.Write(t, dir, "ca.crt", a.PEM), authtest.Write(t, dir, "other.crt", other.PEM)
	files := func(ca, cert, key string) string {
		return fmt.Sprintf(", tls: {caFile: '%s', certFile: '%s', keyFile: '%s'}", ca, cert, key)
	}
	good, expired := fakeKafka(t, server(month)), fakeKafka(t, server(time.Now().Add(-time.Minute)))
	code, r, _ := checkKafka(t, cluster(good, files(ca, cert, key)))
	wantStep(t, step(t, r, "tls", ""), stepOK, "CN=broker by CN=ours for 127.0.0.1", "days")
	wantStep(t, step(t, r, "versions", ""), stepOK, "OffsetFetch")
	if code != 0 {
		t.Error(code)
	}
	_, r, _ = checkKafka(t, cluster(good, files(ca, soonCert, soonKey)))
	if i := slices.IndexFunc(r.Steps, func(s kafkaStep) bool { return strings.Contains(s.What, "own certificate CN=swell") }); i < 0 {
		t.Errorf("%+v", r.Steps)
	} else {
		wantStep(t, r.Steps[i], stepWarning, "renew it")
	}
	for _, tc := range []struct {
		yaml string
		want []string
	}{
		{cluster(good, files(otherCA, cert, key)), []string{"unknown authority", "other.crt", "clusters[name=main].tls.caFile"}},
		{cluster(expired, files(ca, cert, key)), []string{"expired", "renew the brokers' certificate"}},
		{cluster(good, files(ca, cert, soonKey)), []string{"swell.crt", "soon.key", "the key that belongs to it"}},
	} {
		code, r, _ := checkKafka(t, tc.yaml)
		wantStep(t, step(t, r, "tls", ""), stepFailed, tc.want...)
		if code != 1 {
			t.Error(code)
		}
	}
	code, r, _ = checkKafka(t, cluster(good, fmt.Sprintf(", tls: {caFile: '%s'}", ca)))
	wantStep(t, step(t, r, "versions", ""), stepFailed, "mTLS", "clusters[name=main].tls.certFile")
	if code != 1 {
		t.Error(code)
	}
}

func TestCheckKafkaLogins(t *testing.T) {
	c := fakeKafka(t, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "swell", kafkaSecret))
	login := func(mechanism, password string) string {
		return cluster(c, fmt.Sprintf(", sasl: {mechanism: %s, username: swell, passwordFile: '%s'}", mechanism, write(t, "password", password)))
	}
	code, r, _ := checkKafka(t, login("SCRAM-SHA-512", kafkaSecret))
	wantStep(t, step(t, r, "login", ""), stepOK, "SCRAM-SHA-512", `"swell"`)
	if code != 0 {
		t.Error(code)
	}
	code, r, _ = checkKafka(t, login("SCRAM-SHA-512", kafkaSecret+"-2"))
	wantStep(t, step(t, r, "login", ""), stepFailed, `user "swell"`, "clusters[name=main].sasl.passwordFile")
	if code != 1 {
		t.Error(code)
	}
	oauth := fmt.Sprintf(", sasl: {mechanism: OAUTHBEARER, oauth: {tokenURL: 'https://127.0.0.1:1/t', clientID: c, clientSecretFile: '%s'}}", write(t, "secret", kafkaSecret))
	_, r, _ = checkKafka(t, cluster(c, oauth))
	wantStep(t, step(t, r, "login", ""), stepFailed, "it offers PLAIN, SCRAM-SHA-256, SCRAM-SHA-512", "clusters[name=main].sasl.mechanism")
	authtest.VerifySASL(c, "OAUTHBEARER", func([]byte) ([]byte, error) { return nil, nil })
	_, r, _ = checkKafka(t, cluster(c, oauth))
	wantStep(t, step(t, r, "login", ""), stepFailed, "https://127.0.0.1:1/t", "clusters[name=main].sasl.oauth.tokenURL")
}

func TestCheckKafkaThatIsTooOldOrNotThere(t *testing.T) {
	_, r, _ := checkKafka(t, cluster(fakeKafka(t, kfake.MaxVersions(kversion.V2_8_0())), ""))
	wantStep(t, step(t, r, "versions", ""), stepFailed, "OffsetFetch up to version 7", "Kafka 3.0 or newer")
	_, r, _ = checkKafka(t, cluster(fakeKafka(t, kfake.MaxVersions(kversion.V3_7_0())), ""))
	wantStep(t, step(t, r, "versions", ""), stepOK, "OffsetFetch 9")
	wantStep(t, step(t, r, "share groups", ""), stepOK, "has none")

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	_ = l.Close()
	code, r, _ := checkKafka(t, fmt.Sprintf("clusters: [{name: main, tls: {}, brokers: ['%s']}]", closed))
	wantStep(t, step(t, r, "connect", closed), stepFailed, "refused", "check that the broker runs")
	if code != 1 {
		t.Error(code)
	}
	code, r, _ = checkKafka(t, fmt.Sprintf("clusters: [{name: main, brokers: ['%s', 'kafka.invalid:9092']}]", closed))
	wantStep(t, step(t, r, "connect", closed), stepFailed, "refused", "check that the broker runs")
	wantStep(t, step(t, r, "resolve", "kafka.invalid:9092"), stepFailed, "clusters[name=main].brokers")
	if code != 1 {
		t.Error(code)
	}
}

func TestCheckKafkaBadUsage(t *testing.T) {
	bad := write(t, "bad.yaml", "clusters:\n- name: main\n  brokers: [\"a:1\"]\n  sasl:\n    mechansim: PLAIN\n")
	good := write(t, "good.yaml", "clusters: [{name: main, brokers: ['127.0.0.1:1']}]")
	for want, args := range map[string][]string{
		"--config is missing": {},
		"no such file":        {"--config", "nowhere.yaml"},
		`:5: clusters[0].sasl.mechansim: unknown field; did you mean "mechanism"?`: {"--config", bad},
		`--cluster "mian" is not in`:  {"--config", good, "--cluster", "mian"},
		`did you mean "main"?`:        {"--config", good, "--cluster", "mian"},
		"--group or --topic is empty": {"--config", good, "--group", ""},
		`"main" is not expected`:      {"main", "--config", good},
		"given as --config " + good:   {good},
	} {
		code, out, stderr := swell(t, append([]string{"check", "kafka"}, args...)...)
		if code != 2 || !strings.Contains(stderr, want) || out != "" {
			t.Errorf("swell check kafka %s: exit %d, %s%s; want 2 and %q", strings.Join(args, " "), code, out, stderr, want)
		}
	}
}

func TestCheckKafkaTellsNearGroups(t *testing.T) {
	for _, opts := range [][]kfake.Opt{nil, {kfake.MaxVersions(kversion.V3_7_0())}} { // with share groups, and before there were any
		c := fakeKafka(t, opts...)
		code, r, _ := checkKafka(t, cluster(c, ""), "--group", "payment")
		wantStep(t, step(t, r, "group", "payment"), stepWarning, "it has not begun yet, or check its name; there is none at all")
		if code != 0 {
			t.Errorf("exit %d for a group that may come to be", code)
		}
		commit(t, c, "payments")
		commit(t, c, "mails")
		_, r, _ = checkKafka(t, cluster(c, ""), "--group", "payment")
		wantStep(t, step(t, r, "group", "payment"), stepWarning, `there are mails, payments; did you mean "payments"?`)
	}
}

func TestCheckKafkaOfAFileOfAnotherKind(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"a kind":    {"apiVersion: capacity.swell/v1alpha1\nkind: QueueConsumer\nmetadata: {name: orders}\n", `is a QueueConsumer of capacity.swell/v1alpha1, and not the configuration of swell-metrics: check it with "swell check FILE"`},
		"scaler":    {"aws: {region: a}\nledgerDir: l\n", `is the configuration of swell-scaler, and not the configuration of swell-metrics: check it with "swell check FILE"`},
		"ConfigMap": {"apiVersion: v1\nkind: ConfigMap\ndata: {metrics.yaml: ''}\n", "is a ConfigMap, and not the configuration of swell-metrics: give what stands in it under metrics.yaml"},
		"another":   {"apiVersion: apps/v1\nkind: Deployment\n", "is a Deployment of apps/v1, and not the configuration of swell-metrics: give the file"},
	} {
		path := write(t, "it.yaml", tc.text)
		code, _, stderr := swell(t, "check", "kafka", "--config", path)
		if want := "Error: swell check kafka: " + path + " " + strings.ReplaceAll(tc.want, "FILE", path); code != 2 || !strings.HasPrefix(stderr, want) {
			t.Errorf("%s: code %d, %s\nwant %s", name, code, stderr, want)
		}
	}
}

func TestCheckKafkaNamesItsFileOnce(t *testing.T) {
	for name, text := range map[string]string{
		"type":      "clusters:\n- name: main\n  brokers: [\"a:1\"]\n  pollEvery: soon\n",
		"value":     "clusters:\n- name: main\n  brokers: [a]\n",
		"not there": "listen: ':1'\n",
		"YAML":      "clusters: [\n",
	} {
		path := write(t, "it.yaml", text)
		code, stdout, stderr := swell(t, "check", "kafka", "--config", path)
		if n := strings.Count(stdout+stderr, path); code != 2 || n != 1 {
			t.Errorf("%s: code %d, the path is there %d times\n%s%s", name, code, n, stdout, stderr)
		}
	}
}

func TestCheckKafkaOfOneOfTwoClusters(t *testing.T) {
	c := fakeKafka(t)
	yaml := fmt.Sprintf("clusters: [{name: gone, brokers: ['127.0.0.1:1']}, {name: main, brokers: ['%s']}]", c.ListenAddrs()[0])
	if code, r, _ := checkKafka(t, yaml, "--cluster", "main"); code != 0 || r.Cluster != "main" {
		t.Errorf("exit %d, %+v", code, r)
	}
	if code, r, out := checkKafka(t, yaml); code != 1 || r.OK || strings.Count(out, `"cluster":`) != 2 {
		t.Errorf("exit %d, %+v\n%s", code, r, out)
	}
}
