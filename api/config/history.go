package config

import (
	"net/url"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// History says where demand of the past comes from and where it is kept.
type History struct {
	// SampleEvery is the time between live samples; 60s by default, which is the most.
	SampleEvery metav1.Duration `json:"sampleEvery,omitempty"`
	// Checkpoints is the namespace of the ConfigMaps that histories survive restarts in; empty is none.
	Checkpoints string `json:"checkpoints,omitempty"`
	// Files are series that histories begin with.
	Files []HistoryFile `json:"files,omitempty"`
	// TimeZone of the weekly profile; UTC by default.
	TimeZone string `json:"timeZone,omitempty"`
	// Holidays are of the country with this two-letter code, and count as Sundays; none by default.
	Holidays string `json:"holidays,omitempty"`
	// Prometheus answers the queries of Balloons, and fills the past of workloads that are seen for the first time.
	Prometheus *Prometheus `json:"prometheus,omitempty"`
	// Datadog fills the past, too.
	Datadog *Datadog `json:"datadog,omitempty"`
}

// HistoryFile is a CSV of timestamp,value in pods for one workload.
type HistoryFile struct {
	// Namespace of the Balloon.
	Namespace string `json:"namespace"`
	// Balloon is the name of the Balloon whose workload it is.
	Balloon string `json:"balloon"`
	// File is the path of the CSV.
	File string `json:"file"`
}

// Prometheus is a server that speaks Prometheus' HTTP API: Prometheus itself, Thanos, Mimir, Amazon's. Files with secrets are
// read anew for each request.
type Prometheus struct {
	// URL without /api/v1, such as http://prometheus.monitoring:9090.
	URL string `json:"url"`
	// Query fills the past of a workload whose Balloon says nothing else, in pods of all clusters. {{namespace}}, {{name}} of the
	// workload, {{balloon}} and {{hpa}} are replaced. Default: DefaultHistoryQuery for demand from HPAs; "none" is none.
	Query string `json:"query,omitempty"`
	// BearerTokenFile, BasicAuth and SigV4 are three ways to say who asks; give at most one.
	BearerTokenFile string     `json:"bearerTokenFile,omitempty"`
	BasicAuth       *BasicAuth `json:"basicAuth,omitempty"`
	SigV4           *SigV4     `json:"sigv4,omitempty"`
	// Headers are sent with each request, such as X-Scope-OrgID of a tenant. They are no place for secrets.
	Headers map[string]string `json:"headers,omitempty"`
	// CAFile has the certificates that the server's must be signed by; CertFile and KeyFile are the client's own.
	CAFile   string `json:"caFile,omitempty"`
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`
	// ServerName is the name that the server's certificate must have; empty is the host of the URL.
	ServerName string `json:"serverName,omitempty"`
	// Timeout of one try; 30s by default, machine time.
	Timeout metav1.Duration `json:"timeout,omitempty"`
}

// BasicAuth is a user with the file of its password.
type BasicAuth struct {
	// Username is sent with the password that PasswordFile holds.
	Username     string `json:"username"`
	PasswordFile string `json:"passwordFile"`
}

// SigV4 signs requests for Amazon Managed Service for Prometheus; credentials come from the environment, as the SDK finds them.
type SigV4 struct {
	// Region of the workspace.
	Region string `json:"region"`
}

// Datadog is a site with the files of its two keys, which are read anew for each request.
type Datadog struct {
	// Site such as datadoghq.com, the default, or datadoghq.eu.
	Site string `json:"site,omitempty"`
	// URL replaces https://api.<site>, for a proxy.
	URL string `json:"url,omitempty"`
	// APIKeyFile and AppKeyFile hold an API key, and an application key that may timeseries_query.
	APIKeyFile string `json:"apiKeyFile"`
	AppKeyFile string `json:"appKeyFile"`
	// Timeout of one try; 30s by default, machine time.
	Timeout metav1.Duration `json:"timeout,omitempty"`
}

// DefaultHistoryQuery is what an HPA asked for, by kube-state-metrics: its largest metric over its target, times the replicas
// that it had, where these were below the maximum.
const DefaultHistoryQuery = `max(
  kube_horizontalpodautoscaler_status_target_metric{namespace="{{namespace}}",horizontalpodautoscaler="{{hpa}}",metric_name!="swell_predicted_replicas"}
  / on(metric_name, metric_target_type)
  kube_horizontalpodautoscaler_spec_target_metric{namespace="{{namespace}}",horizontalpodautoscaler="{{hpa}}",metric_name!="swell_predicted_replicas"}
) * on()
max(kube_horizontalpodautoscaler_status_current_replicas{namespace="{{namespace}}",horizontalpodautoscaler="{{hpa}}"}
  < on(namespace, horizontalpodautoscaler) kube_horizontalpodautoscaler_spec_max_replicas{namespace="{{namespace}}",horizontalpodautoscaler="{{hpa}}"})`

func (h *History) setDefaults() {
	if h.SampleEvery.Duration == 0 {
		h.SampleEvery.Duration = time.Minute
	}
	if h.TimeZone == "" {
		h.TimeZone = "UTC"
	}
	if p := h.Prometheus; p != nil {
		if p.Timeout.Duration == 0 {
			p.Timeout.Duration = 30 * time.Second
		}
		if p.Query == "" {
			p.Query = DefaultHistoryQuery
		}
	}
	if d := h.Datadog; d != nil {
		if d.Timeout.Duration == 0 {
			d.Timeout.Duration = 30 * time.Second
		}
		if d.Site == "" {
			d.Site = "datadoghq.com"
		}
	}
}

func (h History) validate(say func(format string, args ...any)) {
	if e := h.SampleEvery.Duration; e < 0 || e > time.Minute {
		say("history.sampleEvery is %s: give a time above zero, at most 1m, which is the step of what is learned", e)
	}
	for i, f := range h.Files {
		if f.Namespace == "" || f.Balloon == "" || f.File == "" {
			say("history.files[%d]: give namespace, balloon and file", i)
		}
	}
	if _, err := time.LoadLocation(h.TimeZone); err != nil {
		say("history.timeZone: %v: give an IANA name, such as Asia/Tokyo", err)
	}
	if h.Prometheus != nil {
		h.Prometheus.validate(say)
	}
	if d := h.Datadog; d != nil {
		if d.APIKeyFile == "" || d.AppKeyFile == "" {
			say("history.datadog: give apiKeyFile and appKeyFile, the files of an API key and of an application key that may timeseries_query")
		}
		if d.URL != "" && !isHTTP(d.URL) {
			say("history.datadog.url is %q: give one such as https://proxy.example.com", d.URL)
		}
		if d.Timeout.Duration < 0 {
			say("history.datadog.timeout is %s: give a time above zero", d.Timeout.Duration)
		}
	}
}

func (p Prometheus) validate(say func(format string, args ...any)) {
	if !isHTTP(p.URL) {
		say("history.prometheus.url is %q: give one such as http://prometheus.monitoring:9090", p.URL)
	}
	ways := 0
	for _, given := range []bool{p.BearerTokenFile != "", p.BasicAuth != nil, p.SigV4 != nil} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		say("history.prometheus: give one of bearerTokenFile, basicAuth and sigv4")
	}
	if b := p.BasicAuth; b != nil && (b.Username == "" || b.PasswordFile == "") {
		say("history.prometheus.basicAuth: give username and passwordFile")
	}
	if p.SigV4 != nil && p.SigV4.Region == "" {
		say("history.prometheus.sigv4.region is empty: give the region of the workspace")
	}
	if (p.CertFile == "") != (p.KeyFile == "") {
		say("history.prometheus: give certFile and keyFile together")
	}
	if p.Timeout.Duration < 0 {
		say("history.prometheus.timeout is %s: give a time above zero", p.Timeout.Duration)
	}
}

func isHTTP(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// backfills says that a clock that runs faster has no past to ask for.
func (c Scaler) backfills(say func(format string, args ...any)) {
	if (c.History.Prometheus != nil || c.History.Datadog != nil) && c.Clock.Speed > 1 {
		say("history.prometheus and history.datadog are of real time, and clock.speed is %g: leave out one or the other", c.Clock.Speed)
	}
}
