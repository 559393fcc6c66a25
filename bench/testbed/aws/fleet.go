package aws

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Fleet is the account that is emulated: what fleet.yaml holds.
type Fleet struct {
	Region string `yaml:"region"`
	// Compression divides every duration of the emulated services; 0 and 1 are real time.
	Compression float64 `yaml:"compression,omitempty"`
	// Queue is the name of the SQS queue that events are sent to; default "interruptions".
	Queue         string                  `yaml:"queue,omitempty"`
	Groups        []Group                 `yaml:"groups"`
	InstanceTypes map[string]InstanceType `yaml:"instanceTypes"`
	Prices        map[string]Price        `yaml:"prices"`
	// Boot times by zone, from launch to the Node's joining; a zone that is left out has a median of 50 s and a p95 of 120 s.
	Boot map[string]Boot `yaml:"boot,omitempty"`
	// Subnets by id; a group's subnet that is left out has 4091 free addresses.
	Subnets map[string]Subnet `yaml:"subnets,omitempty"`
	// RepairAfter is how long a group takes to notice that it lacks an instance; default 5 s.
	RepairAfter time.Duration `yaml:"repairAfter,omitempty"`
	// InServiceAfter is how long after its launch an instance counts as running, its Node not yet there; default 10 s, and the
	// boot time where that is less.
	InServiceAfter time.Duration `yaml:"inServiceAfter,omitempty"`
	// TerminateTakes is how long an instance shuts down; default 10 s.
	TerminateTakes time.Duration `yaml:"terminateTakes,omitempty"`
	// Parameters of Systems Manager by name: what an image of the form resolve:ssm:name stands for.
	Parameters map[string]string `yaml:"parameters,omitempty"`
	// Reserved are the account's EC2 reservations.
	Reserved []Reserved `yaml:"reserved,omitempty"`
	// SavingsPlans are the account's commitments.
	SavingsPlans []SavingsPlan `yaml:"savingsPlans,omitempty"`
	// Caller is the ARN of who calls; default a user. RolePath is the path of the role whose session it is, default /.
	Caller   string `yaml:"caller,omitempty"`
	RolePath string `yaml:"rolePath,omitempty"`
	// Quotas of EC2 by code; those that are left out are 100,000 vCPUs.
	Quotas map[string]float64 `yaml:"quotas,omitempty"`
}

// Group is one Auto Scaling group of one zone and market.
type Group struct {
	Name   string `yaml:"name"`
	Zone   string `yaml:"zone"`
	Market string `yaml:"market"` // spot, on-demand or mixed
	Min    int    `yaml:"min"`
	Max    int    `yaml:"max"`
	// Desired is where the group starts; less than Min means Min.
	Desired        int               `yaml:"desired,omitempty"`
	InstanceTypes  []string          `yaml:"instanceTypes"`
	LaunchTemplate string            `yaml:"launchTemplate,omitempty"` // name; default the group's
	Image          string            `yaml:"image,omitempty"`
	Labels         map[string]string `yaml:"labels,omitempty"`
	Taints         []string          `yaml:"taints,omitempty"` // key=value:Effect
	Tags           map[string]string `yaml:"tags,omitempty"`
	Subnets        []string          `yaml:"subnets,omitempty"`
	// MoreZones make the group span zones; such a group balances them while its AZRebalance process is not suspended.
	MoreZones []string `yaml:"moreZones,omitempty"`
	// TemplateVersion is a number, $Latest or $Default, the default.
	TemplateVersion string `yaml:"templateVersion,omitempty"`
	// Weights are capacity units by instance type; what is left out is 1. Min, Max and Desired are in these units.
	Weights map[string]int `yaml:"weights,omitempty"`
	// OnDemandBase units of a mixed group are on-demand, and OnDemandPercent of those above it.
	OnDemandBase    int       `yaml:"onDemandBase,omitempty"`
	OnDemandPercent int       `yaml:"onDemandPercent,omitempty"`
	Hooks           []Hook    `yaml:"hooks,omitempty"`
	WarmPool        *WarmPool `yaml:"warmPool,omitempty"`
	// Policies are the names of dynamic scaling policies, which do nothing here.
	Policies []string `yaml:"policies,omitempty"`
	// ScheduledActions by name, which do nothing here.
	ScheduledActions []ScheduledAction `yaml:"scheduledActions,omitempty"`
	// Refreshes are the statuses of its instance refreshes, newest first; none of them is done.
	Refreshes []string `yaml:"refreshes,omitempty"`
	// CapacityRebalance makes the group replace instances at a rebalance recommendation; it is told, not done.
	CapacityRebalance bool `yaml:"capacityRebalance,omitempty"`
	// NoResourceTags leaves the node-template resource tags out.
	NoResourceTags bool `yaml:"noResourceTags,omitempty"`
}

// InstanceType is the size of an instance and of the Node it becomes.
type InstanceType struct {
	VCPU        int               `yaml:"vcpu"`
	MemoryMiB   int64             `yaml:"memoryMiB"`
	Allocatable map[string]string `yaml:"allocatable,omitempty"`
}

// Price of one instance an hour.
type Price struct {
	OnDemand float64 `yaml:"onDemand"`
	Spot     float64 `yaml:"spot"`
	// SpotIn is the spot price by zone, where it is not Spot.
	SpotIn map[string]float64 `yaml:"spotIn"`
	// Later are on-demand prices that come into force one after the other.
	Later []LaterPrice `yaml:"later,omitempty"`
}

// Boot is the lognormal distribution of the time from launch to Ready.
type Boot struct {
	P50 time.Duration `yaml:"p50"`
	P95 time.Duration `yaml:"p95"`
}

// Subnet of one zone.
type Subnet struct {
	Zone      string `yaml:"zone"`
	Addresses int    `yaml:"addresses"` // free ones
}

// ReadFleet reads a fleet file strictly.
func ReadFleet(path string) (Fleet, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Fleet{}, fmt.Errorf("reading the fleet: %w; give --fleet the path of a fleet.yaml", err)
	}
	f, err := ParseFleet(raw)
	if err != nil {
		return Fleet{}, fmt.Errorf("reading the fleet %s: %w", path, err)
	}
	return f, nil
}

// ParseFleet reads a fleet and fills in its defaults.
func ParseFleet(raw []byte) (Fleet, error) {
	var f Fleet
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(&f); err != nil {
		if errors.Is(err, io.EOF) {
			return Fleet{}, errors.New("the file is empty: it needs region, groups, instanceTypes and prices")
		}
		return Fleet{}, fmt.Errorf("%w; correct the named line", err)
	}
	f.fill()
	return f, f.Validate()
}

func (f *Fleet) fill() {
	if f.Compression == 0 {
		f.Compression = 1
	}
	if f.Queue == "" {
		f.Queue = "interruptions"
	}
	if f.Caller == "" {
		f.Caller = callerARN
	}
	if f.RolePath == "" {
		f.RolePath = "/"
	}
	if f.RepairAfter == 0 {
		f.RepairAfter = 5 * time.Second
	}
	if f.InServiceAfter == 0 {
		f.InServiceAfter = 10 * time.Second
	}
	if f.TerminateTakes == 0 {
		f.TerminateTakes = 10 * time.Second
	}
	if f.Boot == nil {
		f.Boot = map[string]Boot{}
	}
	if f.Subnets == nil {
		f.Subnets = map[string]Subnet{}
	}
	for i := range f.Groups {
		g := &f.Groups[i]
		g.Desired = max(g.Desired, g.Min)
		if g.LaunchTemplate == "" {
			g.LaunchTemplate = g.Name
		}
		if g.Image == "" {
			g.Image = "ami-0123456789abcdef0"
		}
		f.fillGroup(g)
		if _, ok := f.Boot[g.Zone]; !ok {
			f.Boot[g.Zone] = Boot{P50: 50 * time.Second, P95: 120 * time.Second}
		}
	}
}

func (f *Fleet) fillGroup(g *Group) {
	if len(g.Subnets) == 0 {
		g.Subnets = []string{"subnet-" + g.Zone}
		for _, z := range g.MoreZones {
			id := "subnet-" + z
			g.Subnets = append(g.Subnets, id)
			if _, ok := f.Subnets[id]; !ok {
				f.Subnets[id] = Subnet{Zone: z, Addresses: 4091}
			}
		}
	}
	for _, id := range g.Subnets {
		if _, ok := f.Subnets[id]; !ok {
			f.Subnets[id] = Subnet{Zone: g.Zone, Addresses: 4091}
		}
	}
	if g.TemplateVersion == "" {
		g.TemplateVersion = "$Default"
	}
	for i := range g.Hooks {
		g.Hooks[i].fill()
	}
	if g.WarmPool != nil && g.WarmPool.State == "" {
		g.WarmPool.State = "Stopped"
	}
}

// Validate reports the first thing that makes the fleet unusable, with the field.
func (f Fleet) Validate() error {
	switch {
	case f.Region == "":
		return errors.New("region is missing: name one, such as ap-northeast-1")
	case f.Compression < 1:
		return fmt.Errorf("compression is %g: give 1 or more", f.Compression)
	case f.InServiceAfter < 0:
		return fmt.Errorf("inServiceAfter is %s: give a positive duration", f.InServiceAfter)
	case len(f.Groups) == 0:
		return errors.New("groups is empty: list at least one group")
	}
	for name, t := range f.InstanceTypes {
		if err := t.validate(); err != nil {
			return fmt.Errorf("instanceTypes.%s.%w", name, err)
		}
	}
	for zone, b := range f.Boot {
		if b.P50 < time.Second || b.P95 < b.P50 {
			return fmt.Errorf("boot.%s has p50 %s and p95 %s: p50 must be at least 1s and p95 no less; durations need a unit, as in 50s", zone, b.P50, b.P95)
		}
	}
	if err := f.laterPrices(); err != nil {
		return err
	}
	names := map[string]bool{}
	for i, g := range f.Groups {
		if names[g.Name] {
			return fmt.Errorf("groups[%d].name %q is there twice: give each group its own", i, g.Name)
		}
		names[g.Name] = true
		if err := f.validateGroup(g); err != nil {
			return fmt.Errorf("groups[%d].%w", i, err)
		}
	}
	return nil
}

func (t InstanceType) validate() error {
	if t.VCPU < 1 || t.MemoryMiB < 1 {
		return fmt.Errorf("vcpu is %d and memoryMiB %d: both must be 1 or more", t.VCPU, t.MemoryMiB)
	}
	for name, q := range t.Allocatable {
		if _, err := resource.ParseQuantity(q); err != nil {
			return fmt.Errorf("allocatable.%s is %q: give a quantity, such as 15500m or 58Gi: %w", name, q, err)
		}
	}
	return nil
}

var taintPattern = regexp.MustCompile(`^[^=:]+(=[^=:]*)?:(NoSchedule|PreferNoSchedule|NoExecute)$`)

func (f Fleet) validateGroup(g Group) error {
	switch {
	case g.Name == "":
		return errors.New("name is missing: name the group")
	case !strings.HasPrefix(g.Zone, f.Region):
		return fmt.Errorf("zone of %s is %q: give a zone of region %s", g.Name, g.Zone, f.Region)
	case g.Market != "spot" && g.Market != "on-demand" && g.Market != mixed:
		return fmt.Errorf("market of %s is %q: give spot, on-demand or mixed", g.Name, g.Market)
	case g.Min < 0 || g.Max < 1 || g.Min > g.Max || g.Desired > g.Max:
		return fmt.Errorf("max of %s: min %d, desired %d, max %d must be in this order, and max at least 1", g.Name, g.Min, g.Desired, g.Max)
	case len(g.InstanceTypes) == 0:
		return fmt.Errorf("instanceTypes of %s is empty: list at least one", g.Name)
	}
	for _, t := range g.InstanceTypes {
		if _, ok := f.InstanceTypes[t]; !ok {
			return fmt.Errorf("instanceTypes of %s names %q, which instanceTypes does not describe: add it there", g.Name, t)
		}
		if p := f.Prices[t]; p.OnDemand <= 0 || p.Spot <= 0 {
			return fmt.Errorf("instanceTypes of %s names %q, which has no price: add prices.%s.onDemand and .spot", g.Name, t, t)
		}
	}
	for _, h := range g.Hooks {
		if err := h.validate(); err != nil {
			return fmt.Errorf("%w (group %s)", err, g.Name)
		}
	}
	if f.imageOf(g.Image) == "" {
		return fmt.Errorf("image of %s is %q, which parameters does not describe: add it there", g.Name, g.Image)
	}
	if g.WarmPool != nil {
		if err := g.WarmPool.validate(); err != nil {
			return fmt.Errorf("%w (group %s)", err, g.Name)
		}
	}
	if err := g.validateSettings(); err != nil {
		return err
	}
	for _, t := range g.Taints {
		if !taintPattern.MatchString(t) {
			return fmt.Errorf("taints of %s has %q: write key=value:NoSchedule, PreferNoSchedule or NoExecute", g.Name, t)
		}
	}
	for _, s := range g.Subnets {
		if z := f.Subnets[s].Zone; z != g.Zone && !slices.Contains(g.MoreZones, z) {
			return fmt.Errorf("subnets of %s names %s, which is in zone %q and not in %s: name a subnet of the group's zone", g.Name, s, z, g.Zone)
		}
	}
	return nil
}

// mixed is the market of a group that buys both.
const mixed = "mixed"

const nodeTemplate = "k8s.io/cluster-autoscaler/node-template/"

// allTags of a group: its own and the node-template tags made from labels, taints and allocatable.
func (f Fleet) allTags(g Group) map[string]string {
	tags := map[string]string{}
	for k, v := range g.Labels {
		tags[nodeTemplate+"label/"+k] = v
	}
	for _, t := range g.Taints {
		key, value, effect := splitTaint(t)
		tags[nodeTemplate+"taint/"+key] = value + ":" + effect
	}
	if !g.NoResourceTags {
		for k, v := range f.InstanceTypes[g.InstanceTypes[0]].Allocatable {
			tags[nodeTemplate+"resources/"+k] = v
		}
	}
	for k, v := range g.Tags {
		tags[k] = v
	}
	return tags
}

func splitTaint(t string) (key, value, effect string) {
	key, effect, _ = strings.Cut(t, ":")
	key, value, _ = strings.Cut(key, "=")
	return key, value, effect
}

const aliasPrefix = "resolve:ssm:"

// imageOf is the image's id, also where it is given as a parameter.
func (f Fleet) imageOf(image string) string {
	if name, ok := strings.CutPrefix(image, aliasPrefix); ok {
		return f.Parameters[name]
	}
	return image
}

func (f Fleet) price(market, instanceType string, at time.Time) float64 {
	if market == "spot" {
		return f.Prices[instanceType].Spot
	}
	hourly, _ := f.onDemand(instanceType, at)
	return hourly
}

// shorten a duration of the services to the machine's time.
func (f Fleet) shorten(d time.Duration) time.Duration {
	return time.Duration(float64(d) / f.Compression)
}

// zoneID is the zone's id, as the services give beside its name.
func zoneID(zone string) string {
	if zone == "" {
		return ""
	}
	return "az" + zone[len(zone)-1:] + "-" + zone[:len(zone)-1]
}
