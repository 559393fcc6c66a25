package main

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"swell/api/config"
	"swell/nodegroups"
	"swell/nodegroups/aws"
	"swell/scaler"
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
	})
	if err != nil {
		return cloud{}, fmt.Errorf("connecting to AWS: %w", err)
	}
	return cloud{client}, nil
}

// expose registers what the client knows of itself.
func (c cloud) expose(r prometheus.Registerer) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "swell_aws_call_budget",
		Help: "Calls a second to Auto Scaling and EC2 that are allowed at present: halved by each throttle, recovering with successes."}, c.Budget))
}

// Groups implements observe.Cloud.
func (c cloud) Groups(ctx context.Context, s nodegroups.Selection) ([]nodegroups.Group, []string, error) {
	groups, problems, err := c.Client.Select(ctx, s)
	var words []string
	for _, p := range problems {
		words = append(words, p.String())
	}
	return groups, words, err
}

// Launch implements act.Cloud.
func (c cloud) Launch(ctx context.Context, group, zone string, count int, token string) (nodegroups.Launched, error) {
	got, err := c.Client.Launch(ctx, group, zone, count, token)
	return launched(got), err
}

// Raise implements act.Raiser.
func (c cloud) Raise(ctx context.Context, group string, target int) (nodegroups.Launched, error) {
	got, err := c.Client.Raise(ctx, group, target)
	return launched(got), err
}

func launched(got aws.LaunchResult) nodegroups.Launched {
	out := nodegroups.Launched{Instances: got.Instances, Raised: got.Raised, RaiseFrom: got.RaiseFrom, RaiseTo: got.RaiseTo, RaiseMost: got.RaiseMost, Refused: got.Refused}
	for _, f := range got.Failures {
		out.Failures = append(out.Failures, nodegroups.LaunchFailure{Code: f.Code, Message: f.Message, Class: f.Class})
	}
	return out
}

// Interruptions implements scaler.Cloud.
func (c cloud) Interruptions(ctx context.Context) ([]scaler.Notice, error) {
	received, err := c.Client.Interruptions(ctx)
	var notices []scaler.Notice
	for _, r := range received {
		notices = append(notices, scaler.Notice{
			Interruption: r.Interruption,
			Ack:          func(ctx context.Context) error { return c.Ack(ctx, r) },
		})
	}
	return notices, err
}
