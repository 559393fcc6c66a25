package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"swell/bench/testbed/kafka"
	"swell/metrics/kafka/auth/authtest"
)

// secured starts an Apache Kafka broker with TLS, logins and ACLs, or skips the test where there is no Java.
func secured(t *testing.T, a *authtest.Authority) *kafka.Broker {
	t.Helper()
	server := a.Server(time.Now().Add(30 * 24 * time.Hour))
	b, err := kafka.StartReal(t.Context(), kafka.RealOptions{Partitions: 4, Security: &kafka.Security{
		Certificate: server.Cert, Key: server.Key, ClientCA: a.PEM, Users: map[string]string{"swell": kafkaSecret}}})
	if errors.Is(err, kafka.ErrNoJava) && !slices.Contains(strings.Split(os.Getenv("SWELL_REQUIRE"), ","), "kafka") {
		t.Skipf("skipped: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// grant gives the least rights of docs/kafka-security.md on orders and shop to some.
func grant(t *testing.T, b *kafka.Broker, principals ...string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := admin.CreateTopics(ctx, 4, 1, nil, "orders", "payments"); err != nil {
		t.Fatal(err)
	}
	var offsets kadm.Offsets
	for n := range int32(4) {
		offsets.AddOffset("orders", n, 0, -1)
	}
	for _, group := range []string{"shop", "other"} {
		if committed, err := admin.CommitOffsets(ctx, group, offsets); err != nil || committed.Error() != nil {
			t.Fatal(err, committed.Error())
		}
	}
	rules := []*kadm.ACLBuilder{
		kadm.NewACLs().Groups("shop").Operations(kadm.OpDescribe),
		kadm.NewACLs().Topics("orders").Operations(kadm.OpDescribe, kadm.OpDescribeConfigs),
	}
	for _, r := range rules {
		made, err := admin.CreateACLs(ctx, r.Allow(principals...).AllowHosts("*").ResourcePatternType(kadm.ACLPatternLiteral))
		for _, one := range made {
			err = errors.Join(err, one.Err)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// unsecured is a token as Kafka's own validator for tests takes it.
func unsecured(subject string) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	now := time.Now().Unix()
	return part(`{"alg":"none"}`) + "." + part(fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%d}`, subject, now, now+3600)) + "."
}

func TestCheckKafkaOfARealBroker(t *testing.T) {
	a := authtest.NewAuthority(t, "ours")
	b := secured(t, a)
	grant(t, b, "User:swell", "User:CN=swell")
	provider := authtest.NewProvider(t, a.Server(time.Now().Add(time.Hour)).TLS(t), authtest.ProviderSettings{
		Status: 200, Type: "application/json", Body: fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","expires_in":3600}`, unsecured("swell"))})
	dir := t.TempDir()
	ca, password := authtest.Write(t, dir, "ca.crt", a.PEM), authtest.Write(t, dir, "password", []byte(kafkaSecret+"\n"))
	cert, key := a.Client("swell", time.Now().Add(time.Hour)).Write(t, dir, "swell")
	at := func(broker, more string) string {
		return fmt.Sprintf("clusters: [{name: main, brokers: ['%s'], tls: {caFile: '%s'%s]", broker, ca, more)
	}
	user := func(mechanism, file string) string {
		return at(b.SASL, fmt.Sprintf("}, sasl: {mechanism: %s, username: swell, passwordFile: '%s'}}", mechanism, file))
	}
	oauth := at(b.SASL, fmt.Sprintf("}, sasl: {mechanism: OAUTHBEARER, oauth: {tokenURL: '%s', clientID: c, clientSecretFile: '%s', caFile: '%s'}}}", provider.URL, password, ca))
	mutual := at(b.MutualTLS, fmt.Sprintf(", certFile: '%s', keyFile: '%s'}}", cert, key))
	for name, yaml := range map[string]string{"PLAIN": user("PLAIN", password), "SCRAM-SHA-256": user("SCRAM-SHA-256", password),
		"SCRAM-SHA-512": user("SCRAM-SHA-512", password), "OAUTHBEARER": oauth, "mTLS": mutual} {
		t.Run(name, func(t *testing.T) {
			code, r, out := checkKafka(t, yaml, "--group", "shop", "--topic", "orders")
			if code != 0 || !strings.Contains(r.KafkaVersion, "v4.") {
				t.Errorf("exit %d\n%s", code, out)
			}
			wantStep(t, step(t, r, "tls", ""), stepOK, "CN=broker by CN=ours")
			wantStep(t, step(t, r, "share groups", ""), stepOK, "can be read")
			wantStep(t, step(t, r, "group", "shop"), stepOK, "commits of 4 partitions")
			wantStep(t, step(t, r, "topic", "orders"), stepOK, "4 partitions; may describe, describe configs")
			_, r, _ = checkKafka(t, yaml, "--group", "other", "--topic", "payments")
			wantStep(t, step(t, r, "group", "other"), stepFailed, "--operation Describe --group 'other'")
			wantStep(t, step(t, r, "topic", "payments"), stepFailed, "--operation Describe --topic 'payments'")
			_, r, _ = checkKafka(t, yaml)
			wantStep(t, step(t, r, "groups", ""), stepOK, "1 may be described")
			wantStep(t, step(t, r, "topics", ""), stepOK, "1 may be described")
		})
	}
	t.Run("the least rights", func(t *testing.T) { leastRights(t, b, a) })
	wrong := authtest.Write(t, dir, "wrong", []byte("another"))
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-512"} {
		_, r, _ := checkKafka(t, user(mechanism, wrong))
		wantStep(t, step(t, r, "login", ""), stepFailed, `refused user "swell"`, "clusters[name=main].sasl.passwordFile")
	}
	provider.Set(func(s *authtest.ProviderSettings) {
		s.Body = `{"access_token":"garbage","token_type":"Bearer","expires_in":3600}`
	})
	_, r, _ := checkKafka(t, oauth)
	wantStep(t, step(t, r, "login", ""), stepFailed, "refused the token of client", "clusters[name=main].sasl.oauth")
	_, r, _ = checkKafka(t, at(b.MutualTLS, "}}"))
	wantStep(t, step(t, r, "versions", ""), stepFailed, "mTLS", "clusters[name=main].tls.certFile")
	_, r, _ = checkKafka(t, at(b.SASL, "}}"))
	wantStep(t, step(t, r, "versions", ""), stepFailed, "give clusters[name=main].sasl")
	_, r, _ = checkKafka(t, at(b.Bootstrap, "}}"))
	wantStep(t, step(t, r, "tls", ""), stepFailed, "clusters[name=main].brokers", "TLS port")
}

// leastRights does what a poller does, with the rights of docs/kafka-security.md and no more.
func leastRights(t *testing.T, b *kafka.Broker, a *authtest.Authority) {
	client, err := kgo.NewClient(kgo.SeedBrokers(b.SASL), kgo.DialTLSConfig(&tls.Config{RootCAs: a.Pool(), ServerName: "127.0.0.1"}),
		kgo.SASL(plain.Auth{User: "swell", Pass: kafkaSecret}.AsMechanism()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if commits, err := admin.FetchOffsets(ctx, "shop"); err != nil || len(commits.Offsets()["orders"]) != 4 {
		t.Errorf("commits: %v, %v", commits, err)
	}
	for what, list := range map[string]func() (kadm.ListedOffsets, error){
		"starts": func() (kadm.ListedOffsets, error) { return admin.ListStartOffsets(ctx, "orders") },
		"ends":   func() (kadm.ListedOffsets, error) { return admin.ListEndOffsets(ctx, "orders") },
		"stable": func() (kadm.ListedOffsets, error) { return admin.ListCommittedOffsets(ctx, "orders") },
		"stamps": func() (kadm.ListedOffsets, error) {
			return admin.ListOffsetsAfterMilli(ctx, time.Now().UnixMilli(), "orders")
		},
	} {
		if offsets, err := list(); err != nil || offsets.Error() != nil || len(offsets["orders"]) != 4 {
			t.Errorf("%s: %v, %v", what, offsets, err)
		}
	}
	if configs, err := admin.DescribeTopicConfigs(ctx, "orders"); err != nil || len(configs) != 1 || configs[0].Err != nil {
		t.Errorf("configs: %v, %v", configs, err)
	}
	if groups, err := admin.ListGroups(ctx, "PreparingRebalance", "CompletingRebalance", "Empty"); err != nil || len(groups) != 1 || groups["shop"].Group != "shop" {
		t.Errorf("groups: %v, %v", groups, err)
	}
	// And what they do not allow.
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{"orders": {0: kgo.NewOffset().AtStart()}})
	if err := client.PollFetches(ctx).Err(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("Read is not granted, and a fetch says %v", err)
	}
	var offsets kadm.Offsets
	offsets.AddOffset("orders", 0, 0, -1)
	if committed, err := admin.CommitOffsets(ctx, "shop", offsets); err == nil && committed.Error() == nil {
		t.Error("a commit for the group was taken")
	}
}
