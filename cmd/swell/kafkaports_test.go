package main

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"swell/metrics/kafka/auth/authtest"
)

func TestCheckKafkaNamesPortsOfAnotherKind(t *testing.T) {
	a := authtest.NewAuthority(t, "ours")
	dir := t.TempDir()
	ca, password := authtest.Write(t, dir, "ca.crt", a.PEM), authtest.Write(t, dir, "password", []byte(kafkaSecret))
	withTLS := kfake.TLS(&tls.Config{Certificates: []tls.Certificate{a.Server(time.Now().Add(time.Hour)).TLS(t)}})
	saysTLS, saysLogin := ", tls: {caFile: "+ca+"}", ", sasl: {mechanism: PLAIN, username: swell, passwordFile: "+password+"}"
	plain, secure, login := fakeKafka(t), fakeKafka(t, withTLS), fakeKafka(t, kfake.EnableSASL(), kfake.User("PLAIN", "swell", kafkaSecret))
	for name, tc := range map[string]struct {
		at         *kfake.Cluster
		says, step string
		want       []string
	}{
		"TLS to a port without":           {plain, saysTLS, "tls", []string{"it answers without TLS", "remove clusters[name=main].tls"}},
		"no TLS to a port with":           {secure, "", "versions", []string{"its port speaks TLS", "give clusters[name=main].tls"}},
		"a login without TLS to one with": {secure, saysLogin, "login", []string{"its port speaks TLS", "give clusters[name=main].tls"}},
		"a login to a port without":       {plain, saysLogin, "login", []string{"has no login", "remove clusters[name=main].sasl"}},
		"no login to a port with":         {login, "", "metadata", []string{"its port wants a login, by PLAIN", "give clusters[name=main].sasl"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, r, out := checkKafka(t, cluster(tc.at, tc.says))
			wantStep(t, step(t, r, tc.step, ""), stepFailed, tc.want...)
			if code == 0 || strings.Contains(out, "no answer within") {
				t.Errorf("exit %d\n%s", code, out)
			}
		})
	}
}

func TestCheckKafkaNamesPortsOfApacheKafka(t *testing.T) {
	a := authtest.NewAuthority(t, "ours")
	b := secured(t, a)
	dir := t.TempDir()
	ca, password := authtest.Write(t, dir, "ca.crt", a.PEM), authtest.Write(t, dir, "password", []byte(kafkaSecret))
	cert, key := a.Client("swell", time.Now().Add(time.Hour)).Write(t, dir, "swell")
	saysTLS, saysLogin := ", tls: {caFile: "+ca+"}", ", sasl: {mechanism: SCRAM-SHA-256, username: swell, passwordFile: "+password+"}"
	saysBoth := ", tls: {caFile: " + ca + ", certFile: " + cert + ", keyFile: " + key + "}"
	for name, tc := range map[string]struct {
		at, says, step string
		want           []string
	}{
		"TLS to a port without":            {b.Bootstrap, saysTLS, "tls", []string{"it answers without TLS", "remove clusters[name=main].tls"}},
		"TLS and a login to neither":       {b.Bootstrap, saysTLS + saysLogin, "tls", []string{"it answers without TLS", "remove clusters[name=main].tls"}},
		"a login to a port without":        {b.Bootstrap, saysLogin, "login", []string{"has no login", "remove clusters[name=main].sasl"}},
		"neither to a port with both":      {b.SASL, "", "versions", []string{"its port speaks TLS", "give clusters[name=main].tls"}},
		"a login without TLS to both":      {b.SASL, saysLogin, "login", []string{"its port speaks TLS", "give clusters[name=main].tls"}},
		"no login to a port with":          {b.SASL, saysTLS, "versions", []string{"its port wants a login, by ", "SCRAM-SHA-256", "give clusters[name=main].sasl"}},
		"nothing to mutual TLS":            {b.MutualTLS, "", "versions", []string{"its port speaks TLS", "give clusters[name=main].tls"}},
		"a login with mutual TLS":          {b.MutualTLS, saysBoth + saysLogin, "login", []string{"has no login", "remove clusters[name=main].sasl"}},
		"no certificate to mutual TLS":     {b.MutualTLS, saysTLS, "versions", []string{"mTLS", "clusters[name=main].tls.certFile"}},
		"no certificate, but with a login": {b.MutualTLS, saysTLS + saysLogin, "login", []string{"mTLS", "clusters[name=main].tls.certFile"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, r, out := checkKafka(t, "clusters: [{name: main, brokers: ['"+tc.at+"'], requestTimeout: 6s"+tc.says+"}]")
			wantStep(t, step(t, r, tc.step, ""), stepFailed, tc.want...)
			if code == 0 || strings.Contains(out, "no answer within") {
				t.Errorf("exit %d\n%s", code, out)
			}
		})
	}
}

func TestCheckKafkaOfASilentPortIsATimeOut(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, conn) }()
		}
	}()
	for says, at := range map[string]string{"": "versions", ", tls: {}": "tls"} {
		_, r, _ := checkKafka(t, "clusters: [{name: main, brokers: ['"+l.Addr().String()+"'], requestTimeout: 1s"+says+"}]")
		wantStep(t, step(t, r, at, ""), stepFailed, "no answer within 1s", "firewalls")
	}
}
