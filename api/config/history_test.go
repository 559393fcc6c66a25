package config

import (
	"strings"
	"testing"
	"time"
)

func TestHistoryNamesFieldAndMend(t *testing.T) {
	const url = `url: "http://p:9090"`
	for name, tc := range map[string]struct{ text, field, mend string }{
		"sampled too rarely": {"history: {sampleEvery: 2m}", "history.sampleEvery is 2m0s", "at most 1m"},
		"no URL":             {"history: {prometheus: {}}", `history.prometheus.url is ""`, "http://prometheus.monitoring:9090"},
		"no scheme":          {"history: {prometheus: {url: \"p:9090\"}}", "history.prometheus.url", "give one such as"},
		"two ways to ask":    {"history: {prometheus: {" + url + ", bearerTokenFile: a, sigv4: {region: b}}}", "history.prometheus", "one of bearerTokenFile, basicAuth and sigv4"},
		"half a password":    {"history: {prometheus: {" + url + ", basicAuth: {username: a}}}", "basicAuth", "give username and passwordFile"},
		"half a pair":        {"history: {prometheus: {" + url + ", certFile: a}}", "history.prometheus", "certFile and keyFile together"},
		"no region":          {"history: {prometheus: {" + url + ", sigv4: {}}}", "sigv4.region is empty", "region of the workspace"},
		"time-out":           {"history: {prometheus: {" + url + ", timeout: -1s}}", "history.prometheus.timeout is -1s", "above zero"},
		"one key":            {"history: {datadog: {apiKeyFile: a}}", "history.datadog", "appKeyFile"},
		"Datadog's URL":      {"history: {datadog: {url: a, apiKeyFile: a, appKeyFile: b}}", `history.datadog.url is "a"`, "give one such as"},
		"Datadog's time-out": {"history: {datadog: {timeout: -1s, apiKeyFile: a, appKeyFile: b}}", "history.datadog.timeout is -1s", "above zero"},
		"a faster clock": {"history: {prometheus: {" + url + "}}\nclock: {speed: 10, real: 2026-12-01T00:00:00Z, model: 2026-03-02T09:00:00Z}",
			"clock.speed is 10", "leave out one or the other"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadScaler(writeFile(t, least+tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.field) || !strings.Contains(err.Error(), tc.mend) {
				t.Errorf("%v: want %q and %q", err, tc.field, tc.mend)
			}
		})
	}
}

func TestHistoryHasDefaults(t *testing.T) {
	c, err := LoadScaler(writeFile(t, least+`history: {prometheus: {url: "http://p:9090"}, datadog: {apiKeyFile: a, appKeyFile: b}}`))
	if err != nil {
		t.Fatal(err)
	}
	p, d := c.History.Prometheus, c.History.Datadog
	if p.Timeout.Duration != 30*time.Second || p.Query != DefaultHistoryQuery || d.Site != "datadoghq.com" || d.Timeout.Duration != 30*time.Second {
		t.Errorf("%+v %+v", p, d)
	}
}
