package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/v1alpha1"
)

// Scaler is the configuration file of swell-scaler. Durations are model time unless said otherwise.
type Scaler struct {
	AWS AWS `json:"aws"`
	// Prices of an instance an hour, by type. A spot price that is left out is read of EC2; an on-demand price is then not known,
	// except by aws.readOnDemandPrices.
	Prices map[string]Price `json:"prices,omitempty"`
	// ClusterName is the cluster's, as in its groups' tags kubernetes.io/cluster/NAME or swell/cluster: groups of another are
	// only observed. Empty is that this is not looked at.
	ClusterName string `json:"clusterName,omitempty"`
	// Schedulers are the names, in spec.schedulerName, of those whose pods nodes are bought for; none is default-scheduler alone.
	Schedulers []string `json:"schedulers,omitempty"`
	// Mode Observe plans everything and changes nothing, whatever Balloons and CapacityPools say; Enforce by default.
	Mode v1alpha1.Mode `json:"mode,omitempty"`
	// LedgerDir is where decisions are recorded as JSON lines; Ledger says more of it, and may name it instead.
	LedgerDir string `json:"ledgerDir,omitempty"`
	Ledger    Ledger `json:"ledger,omitzero"`
	// LeaderElection is on when a namespace is given. Its times are machine time.
	LeaderElection LeaderElection `json:"leaderElection,omitempty"`
	Observe        Observe        `json:"observe,omitempty"`
	Lead           Lead           `json:"lead,omitempty"`
	History        History        `json:"history,omitempty"`
	Notify         Notify         `json:"notify,omitempty"`
	GuardRails     GuardRails     `json:"guardRails,omitempty"`
	// HealthAddress serves /healthz and /readyz, MetricsAddress /metrics; empty is off.
	HealthAddress  string `json:"healthAddress,omitempty"`
	MetricsAddress string `json:"metricsAddress,omitempty"`
	Page           Page   `json:"page,omitempty"`
	Clock          Clock  `json:"clock,omitempty"`
}

// AWS says where the Auto Scaling groups are. Credentials come from the environment, as the SDK finds them.
type AWS struct {
	// Region of the Auto Scaling groups, such as ap-northeast-1.
	Region string `json:"region"`
	// Endpoint replaces the service's own; empty outside tests.
	Endpoint string `json:"endpoint,omitempty"`
	// QueueURL of the SQS queue with interruption notices; empty is none.
	QueueURL string `json:"queueURL,omitempty"`
	// LifecycleHooks are the names of the termination hooks that are made for swell, which drains and completes their actions; none
	// is every hook whose name begins with swell. Those of others are left to complete theirs.
	LifecycleHooks []string `json:"lifecycleHooks,omitempty"`
	// ReadOnDemandPrices takes an on-demand price that is left out of prices from AWS's price list, twice a day: that of Linux, in
	// USD. It needs pricing:GetProducts.
	ReadOnDemandPrices bool `json:"readOnDemandPrices,omitempty"`
}

// Price of one instance an hour, in one currency throughout.
type Price struct {
	// OnDemand and Spot are of the two markets; zero is unknown.
	OnDemand float64 `json:"onDemand,omitempty"`
	Spot     float64 `json:"spot,omitempty"`
}

// LeaderElection is the Lease that replicas hold in turn.
type LeaderElection struct {
	// Namespace of the Lease, and of the ConfigMaps that launches are fenced by; empty is no election.
	Namespace string `json:"namespace,omitempty"`
	// LeaseDuration is how long a silent leader keeps the lease; 15s by default, machine time.
	LeaseDuration metav1.Duration `json:"leaseDuration,omitempty"`
}

// Observe says how often the world is read.
type Observe struct {
	// AWSEvery is the time between readings of the groups; 10s by default.
	AWSEvery metav1.Duration `json:"awsEvery,omitempty"`
	// MaxAge of a reading that scale-in may rest on; 60s by default.
	MaxAge metav1.Duration `json:"maxAge,omitempty"`
	// TickEvery is the longest time between two plans; events make one sooner. 10s by default.
	TickEvery metav1.Duration `json:"tickEvery,omitempty"`
	// Settle is how long events are gathered before a plan is made; 250ms by default.
	Settle metav1.Duration `json:"settle,omitempty"`
}

// Lead is the time from a need to a pod that serves, before anything was learned.
type Lead struct {
	// BootP95 is the 95th percentile of launch to Node Ready; 120s by default.
	BootP95 metav1.Duration `json:"bootP95,omitempty"`
	// HPADelay is how late the HPA asks; 30s by default.
	HPADelay metav1.Duration `json:"hpaDelay,omitempty"`
	// PodStart is bind to Ready; 20s by default.
	PodStart metav1.Duration `json:"podStart,omitempty"`
}

// LoadScaler reads and validates a configuration file, with defaults filled in.
func LoadScaler(path string) (Scaler, error) {
	if path == "" {
		return Scaler{}, errors.New("reading the scaler's configuration: --config is missing; give the path of the file")
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return Scaler{}, fmt.Errorf("reading the scaler's configuration: %w; give its path with --config", err)
	}
	var c Scaler
	if err := decode(raw, &c, path); err != nil {
		return Scaler{}, fmt.Errorf("reading the scaler's configuration: %w", err)
	}
	c.setDefaults()
	if err := c.Validate(); err != nil {
		return Scaler{}, fmt.Errorf("checking the scaler's configuration %s: %w", path, err)
	}
	return c, nil
}

func (c *Scaler) setDefaults() {
	for d, v := range map[*metav1.Duration]time.Duration{
		&c.LeaderElection.LeaseDuration: 15 * time.Second,
		&c.Observe.AWSEvery:             10 * time.Second,
		&c.Observe.MaxAge:               time.Minute,
		&c.Observe.TickEvery:            10 * time.Second,
		&c.Observe.Settle:               250 * time.Millisecond,
		&c.Lead.BootP95:                 2 * time.Minute,
		&c.Lead.HPADelay:                30 * time.Second,
		&c.Lead.PodStart:                20 * time.Second,
	} {
		if d.Duration == 0 {
			d.Duration = v
		}
	}
	c.History.setDefaults()
	c.Notify.setDefaults()
	c.GuardRails.setDefaults()
	c.setLedgerDefaults()
}

// Validate reports every field that cannot be used, with the mend.
func (c Scaler) Validate() error {
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if c.AWS.Region == "" {
		say("aws.region is empty: give the region of the Auto Scaling groups, such as ap-northeast-1")
	}
	if c.Mode != "" && c.Mode != v1alpha1.Enforce && c.Mode != v1alpha1.Observe {
		say("mode is %q: give Enforce or Observe", c.Mode)
	}
	c.validateLedger(say)
	for name, p := range c.Prices {
		if p.OnDemand < 0 || p.Spot < 0 {
			say("prices.%s is below zero: give the price of an instance an hour", name)
		}
	}
	for field, names := range map[string][]string{"schedulers": c.Schedulers, "aws.lifecycleHooks": c.AWS.LifecycleHooks} {
		if slices.Contains(names, "") {
			say("%s has an empty name: give names, or leave the field out", field)
		}
	}
	for name, d := range map[string]time.Duration{
		"leaderElection.leaseDuration": c.LeaderElection.LeaseDuration.Duration,
		"observe.awsEvery":             c.Observe.AWSEvery.Duration,
		"observe.maxAge":               c.Observe.MaxAge.Duration,
		"observe.tickEvery":            c.Observe.TickEvery.Duration,
		"observe.settle":               c.Observe.Settle.Duration,
		"lead.bootP95":                 c.Lead.BootP95.Duration,
		"lead.hpaDelay":                c.Lead.HPADelay.Duration,
		"lead.podStart":                c.Lead.PodStart.Duration,
	} {
		if d < 0 {
			say("%s is %s: give a time above zero", name, d)
		}
	}
	if o := c.Observe; o.MaxAge.Duration >= 0 && o.MaxAge.Duration < o.AWSEvery.Duration {
		say("observe.maxAge is %s, less than observe.awsEvery, %s: readings would be too old for scale-in before the next comes; give a longer time", o.MaxAge.Duration, o.AWSEvery.Duration)
	}
	c.History.validate(say)
	c.backfills(say)
	c.Page.validate(say)
	c.Notify.validate(say)
	c.GuardRails.validate(say)
	if err := c.Clock.Validate(); err != nil {
		say("%v", err)
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(sorted(wrong), "; "))
}
