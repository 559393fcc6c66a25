package aws

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// launch starts up to n instances of a group in a zone. What could not be started is told once per cause.
func (e *Emulator) launch(c *change, g *group, zone, subnet string, n int, token, cause string) ([]string, []launchError) {
	var ids []string
	var errs []launchError
	for range n {
		i, failed := e.pick(g, zone, subnet, c.t.At)
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
		ids = append(ids, i.ID)
	}
	return ids, errs
}

// pick makes the next instance of the first type that can be had.
func (e *Emulator) pick(g *group, zone, subnet string, now time.Time) (*instance, []launchError) {
	var failed []launchError
	if subnet == "" {
		subnet = e.roomiest(g, zone)
	}
	if e.state.freeAddresses(subnet) < 1 {
		return nil, []launchError{{Type: g.InstanceTypes[0], Subnet: subnet, Code: "InsufficientFreeAddressesInSubnet",
			Message: fmt.Sprintf("There are not enough free addresses in subnet '%s' to satisfy the requested number of instances.", subnet)}}
	}
	for _, t := range g.InstanceTypes {
		if f := e.state.faultOf(FaultCapacity, now, zone, g.Market, t); f != nil && f.left() <= 0 {
			failed = append(failed, launchError{Type: t, Subnet: subnet, Code: f.code("InsufficientInstanceCapacity"), Message: f.message(
				fmt.Sprintf("We currently do not have sufficient %s capacity in the Availability Zone you requested (%s). Our system will be working on provisioning additional capacity.", t, zone))})
			continue
		}
		return e.newInstance(g, zone, subnet, t, now), failed
	}
	return nil, failed
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

func (e *Emulator) newInstance(g *group, zone, subnet, instanceType string, now time.Time) *instance {
	n := len(e.state.order)
	i := &instance{
		ID: fmt.Sprintf("i-0%016x", e.hash("instance", uint64(n))), Group: g.Name, Zone: zone, Market: g.Market, Type: instanceType,
		Image: g.Image, Subnet: subnet, IP: fmt.Sprintf("10.%d.%d.%d", n/60000, n/240%250, n%240+10),
		Price: e.fleet.price(g.Market, instanceType), State: statePending, LaunchedAt: now,
	}
	boot := e.bootTime(zone, uint64(e.state.perZone[zone]))
	if f := e.state.faultOf(FaultSlow, now, zone, g.Market, instanceType); f != nil {
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
