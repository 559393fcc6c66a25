package aws

import (
	"context"
	"fmt"
	"slices"
	"time"

	"swell/nodegroups"
)

const (
	// listMaxAge is how long a price of the price list is taken as current, machine time: the list changes a few times a month.
	listMaxAge = 12 * time.Hour
	// listTry is the time between two readings of what could not be read, machine time.
	listTry = 10 * time.Minute
	// listKept is how old a price may be that cannot be read again, machine time.
	listKept = 30 * 24 * time.Hour
	// listTimeout bounds a reading of the prices of all types, machine time.
	listTimeout = time.Minute
)

// listedPrice is what the price list had for a type, and when it was read and asked for last; hourly 0 is that it had none.
type listedPrice struct {
	hourly      float64
	read, asked time.Time
	none        string // why it has none
}

// readListed reads the on-demand prices of the types that the configuration has none for, beside the groups: what is not known yet
// comes with a later reading of them.
func (c *Client) readListed(ctx context.Context, groups []nodegroups.Group) []Problem {
	if !c.options.ReadOnDemandPrices {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	var due []string // to be read now
	old := false     // whether any is not as it should be
	var problems []Problem
	for _, g := range groups {
		for _, t := range pricedTypes(g) {
			if c.options.Prices[t].OnDemand > 0 || slices.Contains(due, t) {
				continue
			}
			l := c.listed[t]
			if l.none != "" {
				problems = addOnce(problems, Problem{"", l.none, fmt.Sprintf("give prices.%s.onDemand in the scaler's configuration", t)})
			}
			if now.Sub(l.read) < listMaxAge {
				continue
			}
			if old = true; now.Sub(l.asked) >= listTry {
				due = append(due, t)
			}
		}
	}
	if old && c.listError != "" {
		problems = append(problems, Problem{"", "on-demand prices cannot be read: " + c.listError, "allow pricing:GetProducts, give each type's in prices of the scaler's configuration, or leave out aws.readOnDemandPrices"})
	}
	if len(due) > 0 && !c.listing {
		for _, t := range due {
			l := c.listed[t]
			l.asked = now
			c.listed[t] = l
		}
		c.listing = true
		c.listings.Go(func() { c.list(context.WithoutCancel(ctx), due, now) })
	}
	return problems
}

func addOnce(list []Problem, p Problem) []Problem {
	if slices.Contains(list, p) {
		return list
	}
	return append(list, p)
}

// list reads the prices of types and keeps those in force.
func (c *Client) list(ctx context.Context, types []string, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	prices, missing, err := c.OnDemandPrices(ctx, types)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listing = false
	if c.listError = ""; err != nil {
		c.listError = err.Error()
	}
	at := c.options.Clock.At(now)
	for n, p := range prices {
		if n == 0 || prices[n-1].Type != p.Type || !p.From.After(at) {
			c.listed[p.Type] = listedPrice{hourly: p.Hourly, read: now, asked: now}
		}
	}
	for _, m := range missing {
		c.listed[m.Type] = listedPrice{read: now, asked: now, none: fmt.Sprintf("the on-demand price of %s in %s: %s", m.Type, m.Region, m.Err)}
	}
}

// onDemand price of a type: the configured one, or that of the price list; zero is unknown. The lock is held.
func (c *Client) onDemand(instanceType string) float64 {
	if p := c.options.Prices[instanceType].OnDemand; p > 0 {
		return p
	}
	if l := c.listed[instanceType]; c.now().Sub(l.read) < listKept {
		return l.hourly
	}
	return 0
}

// OnDemandPrice of a type an hour, as Groups last took it to be; zero is unknown.
func (c *Client) OnDemandPrice(instanceType string) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.onDemand(instanceType)
}
