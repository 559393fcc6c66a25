package main

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"swell/api/config"
	"swell/nodegroups"
	"swell/nodegroups/aws"
	"swell/scaler/notices"
)

// cloud gives the loop AWS in the loop's own terms.
type cloud struct{ *aws.Client }

func newCloud(ctx context.Context, c config.Scaler) (cloud, error) {
	prices := map[string]aws.Price{}
	for name, p := range c.Prices {
		prices[name] = aws.Price{OnDemand: p.OnDemand, Spot: p.Spot}
	}
	client, err := aws.New(ctx, aws.Options{
		Region: c.AWS.Region, Endpoint: c.AWS.Endpoint, QueueURL: c.AWS.QueueURL, Prices: prices, Clock: c.Clock,
		ClusterName: c.ClusterName, LifecycleHooks: c.AWS.LifecycleHooks, ReadOnDemandPrices: c.AWS.ReadOnDemandPrices,
	})
	if err != nil {
		return cloud{}, fmt.Errorf("connecting to AWS: %w", err)
	}
	return cloud{client}, nil
}

// expose registers what the client knows of itself.
func (c cloud) expose(r prometheus.Registerer) {
	r.MustRegister(c.Collector())
}

// Groups implements observe.Cloud.
func (c cloud) Groups(ctx context.Context, s nodegroups.Selection) ([]nodegroups.Group, []string, error) {
	groups, problems, err := c.Client.Select(ctx, s)
	return groups, inWords(problems), err
}

// Prepaid implements observe.Cloud.
func (c cloud) Prepaid(ctx context.Context, types []string) (nodegroups.Prepaid, []string) {
	prepaid, problems := c.Client.Prepaid(ctx, types)
	return prepaid, inWords(problems)
}

func inWords(problems []aws.Problem) []string {
	var words []string
	for _, p := range problems {
		words = append(words, p.String())
	}
	return words
}

// Interruptions implements scaler.Cloud.
func (c cloud) Interruptions(ctx context.Context) ([]notices.Notice, error) {
	received, err := c.Client.Interruptions(ctx)
	var list []notices.Notice
	for _, r := range received {
		list = append(list, notices.Notice{
			Interruption: r.Interruption,
			Ack:          func(ctx context.Context) error { return c.Ack(ctx, r) },
		})
	}
	return list, err
}
