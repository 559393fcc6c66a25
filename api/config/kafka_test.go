package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// loadText loads a configuration that is not in a file yet.
func loadText(t testing.TB, text string) (*Metrics, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "metrics.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return LoadMetrics(path)
}

// oneCluster is a configuration with one cluster that has some more fields.
func oneCluster(fields string) string {
	return "clusters: [{name: main, brokers: ['kafka:9092'], " + fields + "}]"
}

func TestKafkaClustersThatCannotBeUsed(t *testing.T) {
	const oauth = "tokenURL: 'https://idp/token', clientID: swell, clientSecretFile: /s"
	for name, tc := range map[string]struct{ fields, field, mend string }{
		"name":             {"name: 'my cluster'", `clusters[0].name is "my cluster"`, "63 letters"},
		"port":             {"brokers: ['a:kafka']", `clusters[0].brokers[0] is "a:kafka"`, "host:port"},
		"port 0":           {"brokers: ['a:0']", `clusters[0].brokers[0]`, "host:port"},
		"port 65536":       {"brokers: ['b:1', 'a:65536']", `clusters[0].brokers[1]`, "host:port"},
		"no host":          {"brokers: [':9092']", `clusters[0].brokers[0]`, "host:port"},
		"poll":             {"pollEvery: -1s", "clusters[0].pollEvery", "above zero"},
		"rare poll":        {"pollEvery: 2562047h", "clusters[0].pollEvery is 2562047h", "at most 24h"},
		"negative stale":   {"staleAfter: -1s", "clusters[0].staleAfter", "above zero"},
		"stale":            {"staleAfter: 1s", "clusters[0].staleAfter", "at least two polls"},
		"metadata":         {"metadataEvery: -1s", "clusters[0].metadataEvery", "above zero"},
		"timeout":          {"requestTimeout: -1s", "clusters[0].requestTimeout", "above zero"},
		"short timeout":    {"requestTimeout: 99ms", "clusters[0].requestTimeout is 99ms", "100ms to 15m"},
		"long timeout":     {"requestTimeout: 16m", "clusters[0].requestTimeout is 16m", "100ms to 15m"},
		"budget":           {"maxRequestsPerSecond: -1", "clusters[0].maxRequestsPerSecond is -1", "above zero"},
		"certificate only": {"tls: {certFile: c}", "clusters[0].tls names one", "give both"},
		"key only":         {"tls: {keyFile: c}", "clusters[0].tls names one", "give both"},
		"mechanism":        {"sasl: {mechanism: GSSAPI}", `clusters[0].sasl.mechanism is "GSSAPI"`, "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, AWS_MSK_IAM"},
		"no mechanism":     {"sasl: {username: u}", `clusters[0].sasl.mechanism is ""`, "give one of"},
		"plain nobody":     {"sasl: {mechanism: PLAIN, passwordFile: p}", "clusters[0].sasl.username is empty", "PLAIN needs it"},
		"scram password":   {"sasl: {mechanism: SCRAM-SHA-512, username: u}", "clusters[0].sasl.passwordFile is empty", "SCRAM-SHA-512 needs it"},
		"control":          {`sasl: {mechanism: PLAIN, passwordFile: p, username: "a\u0000b"}`, "clusters[0].sasl.username", "control character"},
		"plain with oauth": {"sasl: {mechanism: PLAIN, passwordFile: p, username: u, oauth: {" + oauth + "}}", "clusters[0].sasl.oauth is given", "leave it out"},
		"plain with aws":   {"sasl: {mechanism: PLAIN, passwordFile: p, username: u, aws: {}}", "clusters[0].sasl.aws is given", "leave it out"},
		"oauth with user":  {"sasl: {mechanism: OAUTHBEARER, username: u, oauth: {" + oauth + "}}", "clusters[0].sasl.username is given", "leave it out"},
		"oauth missing":    {"sasl: {mechanism: OAUTHBEARER}", "clusters[0].sasl.oauth is empty", "OAUTHBEARER needs it"},
		"oauth http":       {"sasl: {mechanism: OAUTHBEARER, oauth: {" + strings.Replace(oauth, "https", "http", 1) + "}}", "clusters[0].sasl.oauth.tokenURL", "https://host"},
		"oauth user":       {"sasl: {mechanism: OAUTHBEARER, oauth: {" + strings.Replace(oauth, "idp", "a:b@idp", 1) + "}}", "clusters[0].sasl.oauth.tokenURL", "without user"},
		"oauth no client":  {"sasl: {mechanism: OAUTHBEARER, oauth: {tokenURL: 'https://idp/t', clientSecretFile: /s}}", "clusters[0].sasl.oauth lacks clientID", "give both"},
		"oauth no secret":  {"sasl: {mechanism: OAUTHBEARER, oauth: {tokenURL: 'https://idp/t', clientID: c}}", "clusters[0].sasl.oauth lacks clientID or clientSecretFile", "give both"},
		"oauth scope":      {"sasl: {mechanism: OAUTHBEARER, oauth: {" + oauth + ", scopes: [a, 'b c']}}", "clusters[0].sasl.oauth.scopes[1]", "one scope an entry"},
		"oauth extension":  {"sasl: {mechanism: OAUTHBEARER, oauth: {" + oauth + ", extensions: {auth: x}}}", "clusters[0].sasl.oauth.extensions.auth", "not auth"},
		"oauth value":      {`sasl: {mechanism: OAUTHBEARER, oauth: {` + oauth + `, extensions: {a: "x\u0001auth=y"}}}`, "clusters[0].sasl.oauth.extensions.a", "printable"},
		"msk plain text":   {"sasl: {mechanism: AWS_MSK_IAM}", "clusters[0].tls is missing", "tls: {}"},
		"msk region":       {"tls: {}, sasl: {mechanism: AWS_MSK_IAM, aws: {region: Tokyo}}", "clusters[0].sasl.aws.region", "ap-northeast-1"},
		"msk role":         {"tls: {}, sasl: {mechanism: AWS_MSK_IAM, aws: {roleARN: kafka}}", "clusters[0].sasl.aws.roleARN", "arn:aws:iam::ACCOUNT:role/NAME"},
		"msk password":     {"tls: {}, sasl: {mechanism: AWS_MSK_IAM, passwordFile: p}", "clusters[0].sasl.passwordFile is given", "leave it out"},
	} {
		t.Run(name, func(t *testing.T) {
			text := oneCluster(tc.fields)
			for _, own := range []string{"name:", "brokers:"} { // a key may be there once
				if strings.HasPrefix(tc.fields, own) {
					text = strings.Replace(text, map[string]string{"name:": "name: main, ", "brokers:": "brokers: ['kafka:9092'], "}[own], "", 1)
				}
			}
			_, err := loadText(t, text)
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tc.field) || !strings.Contains(err.Error(), tc.mend) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q: want one problem with %q and %q", err, tc.field, tc.mend)
			}
		})
	}
}

func TestKafkaClustersThatCanBeUsed(t *testing.T) {
	for _, fields := range []string{
		"tls: {}", "tls: {caFile: a, certFile: b, keyFile: c, serverName: d}", "requestTimeout: 100ms", "maxRequestsPerSecond: 1, proveEmpty: true",
		"sasl: {mechanism: PLAIN, username: u, passwordFile: p}", "tls: {}, sasl: {mechanism: SCRAM-SHA-256, username: u, passwordFile: p}",
		"tls: {}, sasl: {mechanism: OAUTHBEARER, oauth: {tokenURL: 'https://idp:8443/t?x=1', clientID: c, clientSecretFile: s, scopes: [a], audience: b, extensions: {logicalCluster: lkc-1, identityPoolId: pool 1}}}",
		"tls: {}, sasl: {mechanism: AWS_MSK_IAM}", "tls: {}, sasl: {mechanism: AWS_MSK_IAM, aws: {region: us-gov-west-1, roleARN: 'arn:aws-us-gov:iam::123456789012:role/path/kafka'}}",
	} {
		if _, err := loadText(t, oneCluster(fields)); err != nil {
			t.Errorf("%s: %v", fields, err)
		}
	}
	if _, err := loadText(t, "clusters: [{name: main, brokers: ['[::1]:9092', '10.0.0.1:1', 'a.b:65535']}]"); err != nil {
		t.Error(err)
	}
}

func TestNoSecretOfAURLIsRepeated(t *testing.T) {
	_, err := loadText(t, "passOn: {external: {url: 'https://me:hidden@metrics'}}\n"+
		oneCluster("sasl: {mechanism: OAUTHBEARER, oauth: {tokenURL: 'https://me:hidden@idp', clientID: c, clientSecretFile: s}}"))
	if err == nil || strings.Contains(err.Error(), "hidden") || strings.Count(err.Error(), "without user") != 2 {
		t.Error(err)
	}
}

// FuzzLoadMetrics looks for a panic, and for a configuration that is accepted and cannot be used later.
func FuzzLoadMetrics(f *testing.F) {
	for _, text := range []string{
		oneCluster("pollEvery: 2s, staleAfter: 6s, tls: {caFile: a, certFile: b, keyFile: c, serverName: d}"),
		oneCluster("sasl: {mechanism: PLAIN, username: u, passwordFile: p}, maxRequestsPerSecond: 7, proveEmpty: true"),
		oneCluster("tls: {}, sasl: {mechanism: OAUTHBEARER, oauth: {tokenURL: 'https://idp/t', clientID: c, clientSecretFile: s, extensions: {a: b}}}"),
		oneCluster("tls: {}, sasl: {mechanism: AWS_MSK_IAM, aws: {region: eu-west-1, roleARN: 'arn:aws:iam::123456789012:role/k'}}"),
		"namespaceRules: [{namespaces: ['team-*', 'a[b-c]'], clusters: [main], groups: [orders, '/pay.*|x/']}]\n" + oneCluster("proveEmpty: true"),
		"passOn: {external: {url: 'https://a.b.svc:443', insecureSkipVerify: true, tokenFile: t}, custom: {url: 'https://c'}}\n" + oneCluster("pollEvery: 1s"),
		"clock: {speed: 10, real: 2026-01-01T00:00:00Z, model: 1998-06-25T00:00:00Z}\napis: [External]\nlisten: ':0'\n" + oneCluster("pollEvery: 1ns"),
		"rateWindow: 2562047h\n" + oneCluster("pollEvery: 2562047h"), "clusters: [null]", "[]", "clusters: {}",
	} {
		f.Add(text)
	}
	path := filepath.Join(f.TempDir(), "metrics.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := LoadMetrics(path)
		if err != nil {
			if !strings.Contains(err.Error(), path) {
				t.Errorf("%q does not name the file", err)
			}
			return
		}
		mustBeUsable(t, m)
		again, err := yaml.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := loadText(t, string(again)); err != nil || !reflect.DeepEqual(m, n) {
			t.Errorf("written and read again: %v\n%+v\n%+v", err, m, n)
		}
	})
}

// mustBeUsable is what the programs rely on.
func mustBeUsable(t *testing.T, m *Metrics) {
	if len(m.Clusters) == 0 || len(m.APIs) == 0 || m.RateWindow.Duration <= 0 || m.StatusEvery.Duration <= 0 || m.Clock.Wait(time.Second) <= 0 {
		t.Errorf("%+v", m)
	}
	names := map[string]bool{}
	for _, k := range m.Clusters {
		if k.Name == "" || names[k.Name] || len(k.Brokers) == 0 || k.PollEvery.Duration <= 0 || k.StaleAfter.Duration < k.PollEvery.Duration ||
			k.MetadataEvery.Duration <= 0 || k.RequestTimeout.Duration < 100*time.Millisecond || k.MaxRequestsPerSecond <= 0 {
			t.Errorf("%+v", k)
		}
		names[k.Name] = true
		if s := k.SASL; s != nil && (s.Mechanism == SASLOAuthBearer) != (s.OAuth != nil) {
			t.Errorf("%+v", s)
		}
	}
	for _, r := range m.NamespaceRules {
		for _, g := range r.Groups {
			if _, err := expression(g); err != nil {
				t.Errorf("group %q: %v", g, err)
			}
		}
		for _, c := range r.Clusters {
			if !names[c] {
				t.Errorf("rule for cluster %q, which is not there", c)
			}
		}
	}
	m.NamespaceRules.Allow("team-a", "main", "orders", nil)
}
