package conformance_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"swell/bench/testbed/kafka"
)

// users are who the secured listeners know, with their passwords. Only operator may do everything.
var users = map[string]string{"operator": "operator-secret", "reader": "reader-secret", "stranger": "stranger-secret"}

// mutualUser is the subject of the clients' certificate.
const mutualUser = "CN=reader"

// brokerSettings make a broker do within moments what it does within minutes. kfake ignores what it does not have.
var brokerSettings = map[string]string{
	"log.retention.check.interval.ms":   "200",
	"log.initial.task.delay.ms":         "100",
	"log.cleaner.backoff.ms":            "100",
	"log.segment.delete.delay.ms":       "100",
	"group.share.heartbeat.interval.ms": "500", "group.share.min.heartbeat.interval.ms": "500",
	"group.consumer.heartbeat.interval.ms": "500", "group.consumer.min.heartbeat.interval.ms": "500",
}

// target is a Kafka cluster that the cases run against.
type target struct {
	// ctx lives as long as the target.
	ctx context.Context
	// plain takes everyone for anyone; sasl and mutual tell clients apart.
	plain, sasl, mutual []string
	// operator are the options of a client that may do everything where sasl tells clients apart.
	operator []kgo.Opt
	pki      *pki
	// real is nil where the target is kfake, and fake where it is not.
	real *kafka.Broker
	fake *kfake.Cluster
	// dir holds fake's data.
	dir string

	mu      sync.Mutex
	finals  []final
	closers []func()
}

func startReal(t *testing.T) (*target, error) {
	p := newPKI(t)
	broker, err := kafka.StartReal(t.Context(), kafka.RealOptions{HeapMiB: 384, Configs: brokerSettings,
		Security: &kafka.Security{Certificate: p.serverCert, Key: p.serverKey, ClientCA: p.authority, Users: users}})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := broker.Stop(); err != nil {
			t.Error(err)
		}
	})
	target := newTarget(t, p)
	target.real = broker
	target.plain, target.sasl, target.mutual = []string{broker.Bootstrap}, []string{broker.SASL}, []string{broker.MutualTLS}
	target.operator = []kgo.Opt{kgo.SeedBrokers(broker.Bootstrap)}
	return target, nil
}

// startFake starts three kfakes, since one has the same listener for everyone.
func startFake(t *testing.T) *target {
	p := newPKI(t)
	target := newTarget(t, p)
	target.dir = t.TempDir()
	open := func(opts ...kfake.Opt) *kfake.Cluster {
		cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(3)}, opts...)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cluster.Close)
		return cluster
	}
	server, err := tls.X509KeyPair(p.serverCert, p.serverKey)
	if err != nil {
		t.Fatal(err)
	}
	target.fake = open(kfake.DataDir(target.dir), kfake.SyncWrites())
	target.plain = target.fake.ListenAddrs()

	secure := []kfake.Opt{kfake.EnableSASL(), kfake.EnableACLs(), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{server}}),
		kfake.Superuser("PLAIN", "operator", users["operator"])}
	for _, name := range []string{"reader", "stranger"} {
		for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
			secure = append(secure, kfake.User(mechanism, name, users[name]))
		}
	}
	target.sasl = open(secure...).ListenAddrs()
	target.operator = []kgo.Opt{kgo.SeedBrokers(target.sasl...), kgo.DialTLSConfig(p.client()),
		kgo.SASL(plain.Auth{User: "operator", Pass: users["operator"]}.AsMechanism())}

	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(p.authority)
	target.mutual = open(kfake.TLS(&tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients})).ListenAddrs()
	return target
}

func newTarget(t *testing.T, p *pki) *target {
	ctx, cancel := context.WithCancel(context.Background())
	target := &target{ctx: ctx, pki: p}
	t.Cleanup(func() {
		cancel() // members need not take leave
		var ended sync.WaitGroup
		for _, end := range target.closers {
			ended.Go(end)
		}
		ended.Wait()
	})
	return target
}

// atEnd is called when the target ends, while its brokers still run.
func (g *target) atEnd(end func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closers = append(g.closers, end)
}

func (g *target) isFake() bool { return g.real == nil }
