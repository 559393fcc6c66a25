package config

import (
	"net/url"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
)

// Notify is who is told of what is decided and what is wrong. Kubernetes Events are written whatever stands here.
type Notify struct {
	// WebhookFile holds the address of a webhook in Slack's form, which is a secret: mount it from a Secret. It is read again before
	// each message. Empty, and WebhookEnv too, is none.
	WebhookFile string `json:"webhookFile,omitempty"`
	// WebhookEnv names the environment variable that holds the address, in place of a file.
	WebhookEnv string `json:"webhookEnv,omitempty"`
	// MinSeverity of what the webhook is told: Info, Warning or Critical; Warning by default.
	MinSeverity string `json:"minSeverity,omitempty"`
	// Every is the least time between two messages; 5m by default. What is critical waits for a tenth of it.
	Every metav1.Duration `json:"every,omitempty"`
	// PageURL is the address of the live page, for people; empty is no link.
	PageURL string `json:"pageURL,omitempty"`
}

// Severities are the values of notify.minSeverity.
var Severities = []string{"Info", "Warning", "Critical"}

func (n *Notify) setDefaults() {
	if n.MinSeverity == "" {
		n.MinSeverity = "Warning"
	}
	if n.Every.Duration == 0 {
		n.Every.Duration = 5 * time.Minute
	}
}

func (n Notify) validate(say func(string, ...any)) {
	if n.WebhookFile != "" && n.WebhookEnv != "" {
		say("notify.webhookFile and notify.webhookEnv are both given: give one of the two")
	}
	if u, err := url.Parse(n.WebhookFile); err == nil && u.Host != "" { // not repeated: it is a secret
		say("notify.webhookFile is an address: write the address to a file that only the scaler reads, and give the file's path")
	}
	if u, err := url.Parse(n.WebhookEnv); err == nil && u.Host != "" {
		say("notify.webhookEnv is an address: put the address into an environment variable, and give its name")
	}
	if n.MinSeverity != "" && !slices.Contains(Severities, n.MinSeverity) {
		say("notify.minSeverity is %q: give Info, Warning or Critical", n.MinSeverity)
	}
	if n.Every.Duration < 0 {
		say("notify.every is %s: give a time above zero", n.Every.Duration)
	}
	if u, err := url.Parse(n.PageURL); n.PageURL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		say("notify.pageURL is %q: give an address that begins with https://", n.PageURL)
	}
}

// GuardRails says what becomes of a change of policy that leaves the bounds which it states itself.
type GuardRails struct {
	// Mode Enforce rolls it back, for which the scaler must be let patch the kinds; Observe tells of it, and is the default.
	Mode v1alpha1.Mode `json:"mode,omitempty"`
}

func (g *GuardRails) setDefaults() {
	if g.Mode == "" {
		g.Mode = v1alpha1.Observe
	}
}

func (g GuardRails) validate(say func(string, ...any)) {
	if g.Mode != "" && g.Mode != v1alpha1.Enforce && g.Mode != v1alpha1.Observe {
		say("guardRails.mode is %q: give Enforce or Observe", g.Mode)
	}
}
