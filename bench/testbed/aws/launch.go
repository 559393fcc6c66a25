package aws

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// launched instances and the capacity units that they are.
type launched struct {
	ids   []string
	units int
}

// weight of an instance type in capacity units.
func (g *group) weight(instanceType string) int {
	if w := g.Weights[instanceType]; w > 0 {
		return w
	}
	return 1
}

func (g *group) units(instances []*instance) int {
	n := 0
	for _, i := range instances {
		n += g.weight(i.Type)
	}
	return n
}

// launchZones are the zones of the group, the one with the fewest instances first.
func (e *Emulator) launchZones(g *group) []string {
	zones := append([]string{g.Zone}, g.MoreZones...)
	perZone := map[string]int{}
	for _, i := range e.state.alive(g.Name) {
		perZone[i.Zone]++
	}
	slices.SortStableFunc(zones, func(a, b string) int { return perZone[a] - perZone[b] })
	return zones
}

// nextMarket of a mixed group: the on-demand base first, then the on-demand share of what is above it.
func (e *Emulator) nextMarket(g *group) string {
	if g.Market != mixed {
		return g.Market
	}
	onDemand, all := 0, 0
	for _, i := range e.state.alive(g.Name) {
		all += g.weight(i.Type)
		if i.Market == "on-demand" {
			onDemand += g.weight(i.Type)
		}
	}
	above := max(all+1-g.OnDemandBase, 0)
	if onDemand < g.OnDemandBase+(above*g.OnDemandPercent+99)/100 {
		return "on-demand"
	}
	return "spot"
}

// launch starts n capacity units of a group in a zone, or where none is named in the one that lacks them, and takes from the
// warm pool first unless the call is synchronous. What could not be started is told once per cause.
func (e *Emulator) launch(c *change, g *group, zone, subnet string, n int, token, cause string) (launched, []launchError) {
	var out launched
	var errs []launchError
	for out.units < n {
		zones := []string{zone}
		if zone == "" {
			zones = e.launchZones(g)
		}
		if token == "" && g.warm != nil {
			if i := e.startWarm(c, g, zones, cause); i != nil {
				out.ids, out.units = append(out.ids, i.ID), out.units+g.weight(i.Type)
				continue
			}
		}
		var i *instance
		var failed []launchError
		for _, z := range zones {
			one, more := e.pick(g, z, subnet, c.t.At)
			if i, failed = one, append(failed, more...); i != nil {
				break
			}
		}
		for _, f := range failed {
			if !slices.Contains(errs, f) {
				errs = append(errs, f)
			}
		}
		if i == nil {
			break
		}
		i.Token, i.Cause = token, cause
		c.do(record{Op: opLaunch, Instance: i})
		out.ids, out.units = append(out.ids, i.ID), out.units+g.weight(i.Type)
	}
	return out, errs
}

// pick makes the next instance of the first type that can be had.
func (e *Emulator) pick(g *group, zone, subnet string, now time.Time) (*instance, []launchError) {
	var failed []launchError
	market := e.nextMarket(g)
	if subnet == "" {
		subnet = e.roomiest(g, zone)
	}
	if e.state.freeAddresses(subnet) < 1 {
		return nil, []launchError{{Type: g.InstanceTypes[0], Subnet: subnet, Code: "InsufficientFreeAddressesInSubnet",
			Message: fmt.Sprintf("There are not enough free addresses in subnet '%s' to satisfy the requested number of instances.", subnet)}}
	}
	for _, t := range g.InstanceTypes {
		if f := e.state.faultOf(FaultCapacity, now, zone, market, t); f != nil && f.left() <= 0 {
			failed = append(failed, launchError{Type: t, Subnet: subnet, Code: f.code("InsufficientInstanceCapacity"), Message: f.message(
				fmt.Sprintf("We currently do not have sufficient %s capacity in the Availability Zone you requested (%s). Our system will be working on provisioning additional capacity.%s", t, zone, e.elsewhere(now, zone, market, t)))})
			continue
		}
		if code, text := e.overQuota(market, t); code != "" {
			failed = append(failed, launchError{Type: t, Subnet: subnet, Code: code, Message: text})
			continue
		}
		return e.newInstance(g, zone, subnet, market, t, now), failed
	}
	return nil, failed
}

// elsewhere names the other zones that have capacity of a type, as the refusal of a zone that has none does.
func (e *Emulator) elsewhere(now time.Time, zone, market, instanceType string) string {
	var zones []string
	for _, g := range e.fleet.Groups {
		for _, z := range append([]string{g.Zone}, g.MoreZones...) {
			if f := e.state.faultOf(FaultCapacity, now, z, market, instanceType); z != zone && !slices.Contains(zones, z) && (f == nil || f.left() > 0) {
				zones = append(zones, z)
			}
		}
	}
	if len(zones) == 0 {
		return ""
	}
	slices.Sort(zones)
	return fmt.Sprintf(" You can currently get %s capacity by not specifying an Availability Zone in your request or choosing %s.", instanceType, strings.Join(zones, ", "))
}

func (e *Emulator) roomiest(g *group, zone string) string {
	best, room := "", -1
	for _, s := range g.Subnets {
		if e.fleet.Subnets[s].Zone == zone && e.state.freeAddresses(s) > room {
			best, room = s, e.state.freeAddresses(s)
		}
	}
	return best
}

func (e *Emulator) newInstance(g *group, zone, subnet, market, instanceType string, now time.Time) *instance {
	version := e.state.templates[g.LaunchTemplate].resolve(g.TemplateVersion)
	n := len(e.state.order)
	i := &instance{
		ID: fmt.Sprintf("i-0%016x", e.hash("instance", uint64(n))), Group: g.Name, Zone: zone, Market: market, Type: instanceType,
		Image: e.fleet.imageOf(version.Image), Version: version.Number, Subnet: subnet, IP: fmt.Sprintf("10.%d.%d.%d", n/60000, n/240%250, n%240+10),
		Price: e.fleet.price(market, instanceType, now), State: statePending, LaunchedAt: now,
	}
	boot := e.bootTime(zone, uint64(e.state.perZone[zone]))
	if f := e.state.faultOf(FaultSlow, now, zone, market, instanceType); f != nil {
		boot = time.Duration(float64(boot) * f.Factor)
	}
	i.BootsAt = now.Add(e.fleet.shorten(boot))
	return i
}

// bootTime of a zone's nth launch: the same for the same seed.
func (e *Emulator) bootTime(zone string, n uint64) time.Duration {
	b, ok := e.fleet.Boot[zone]
	if !ok {
		b = Boot{P50: 50 * time.Second, P95: 120 * time.Second}
	}
	const z95 = 1.6448536269514722 // the standard normal's 95th percentile
	sigma := math.Log(b.P95.Seconds()/b.P50.Seconds()) / z95
	normal := rand.New(rand.NewPCG(e.seed, e.hash("boot "+zone, n))).NormFloat64()
	return time.Duration(float64(b.P50) * math.Exp(sigma*normal))
}

func (e *Emulator) hash(what string, n uint64) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %d", e.seed, what, n)
	// FNV alone leaves neighbours alike
	return rand.New(rand.NewPCG(h.Sum64(), n)).Uint64()
}

// dnsName is the private DNS name, and so the Node's name.
func (e *Emulator) dnsName(i *instance) string { return dnsName(i.IP, e.fleet.Region) }
