package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"

	"swell/api/config"
	"swell/nodegroups/aws"
	"swell/scaler/report"
)

// readPrices reads the section prices of a configuration of swell-scaler's; the rest of it may be left out.
func readPrices(path string) ([]report.Price, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w; give a file with the section prices, or aws", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(doc.Content) == 0 {
		return nil, fmt.Errorf("%s:1: the file is empty; give the section prices", path)
	}
	obj, err := toObject(doc.Content[0])
	if err != nil {
		return nil, fmt.Errorf("%s:1: %w", path, err)
	}
	for _, m := range config.Mistakes(obj, reflect.TypeFor[config.Scaler]()) {
		return nil, fmt.Errorf("%s:%d: %s: %s", path, nodeAt(doc.Content[0], m.Field).Line, m.Field, m.What)
	}
	var c struct {
		Prices map[string]config.Price `json:"prices"`
	}
	if err := sigsyaml.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(c.Prices) == 0 {
		return nil, fmt.Errorf("%s:1: prices: there are none; give some, such as {m6i.4xlarge: {onDemand: 0.992, spot: 0.35}}", path)
	}
	var out []report.Price
	for name, p := range c.Prices {
		for market, hourly := range map[string]float64{"on-demand": p.OnDemand, "spot": p.Spot} {
			if hourly < 0 {
				return nil, fmt.Errorf("%s:%d: prices.%s is below zero: give the price of an instance an hour", path, nodeAt(doc.Content[0], "prices").Line, name)
			}
			if hourly > 0 {
				out = append(out, report.Price{Type: name, Market: market, Hourly: hourly})
			}
		}
	}
	return out, nil
}

// awsPrices adds AWS's own prices of the ledger's types to those of files, which go first: what spot cost in the time of the ledger,
// and what is listed on demand now. What the list does not say is told in the options' notes and in words.
func awsPrices(ctx context.Context, region string, books *report.Books, o *report.Options, notes io.Writer) error {
	has := map[[2]string]bool{}
	for _, p := range o.Prices {
		has[[2]string{p.Type, p.Market}] = true
	}
	lacking := func(market string) []string {
		return slices.DeleteFunc(books.Types(), func(t string) bool { return has[[2]string{t, market}] })
	}
	spot, listed := lacking("spot"), lacking("on-demand")
	if len(spot)+len(listed) == 0 {
		return nil
	}
	client, err := awsClient(ctx, region)
	if err != nil {
		return err
	}
	from, to := books.Span()
	if len(spot) > 0 {
		history, err := client.SpotPriceHistory(ctx, spot, from, to)
		if err != nil {
			return err
		}
		for _, p := range history {
			o.Prices = append(o.Prices, report.Price{Type: p.Type, Market: "spot", Zone: p.Zone, From: p.From, Hourly: p.Hourly})
		}
	}
	prices, missing, err := client.OnDemandPrices(ctx, listed)
	if err != nil {
		return err
	}
	for _, m := range missing {
		fmt.Fprintf(notes, "not known: %s; its hours are told as unpriced where the ledger does not know it either; --prices FILE may give it\n", m)
		o.Notes = append(o.Notes, fmt.Sprintf("AWS's price list gives no price: %s.", m))
	}
	early := map[string][]string{}
	for n, p := range prices {
		first := n == 0 || prices[n-1].Type != p.Type
		o.Prices = append(o.Prices, report.Price{Type: p.Type, Market: "on-demand", From: p.From, Hourly: p.Hourly, Before: first})
		if day := p.From.Format(time.DateOnly); first && from.Before(p.From) {
			early[day] = append(early[day], p.Type)
		}
	}
	for _, day := range slices.Sorted(maps.Keys(early)) {
		o.Notes = append(o.Notes, fmt.Sprintf("AWS's price list has on-demand prices from %s on, of %s. Before that day the ledger's own count, and where it has none, the listed ones are taken to have held already.",
			day, strings.Join(early[day], ", ")))
	}
	return nil
}

// awsClient of a region, by default the environment's.
func awsClient(ctx context.Context, region string) (*aws.Client, error) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if region == "" {
			region = os.Getenv(name)
		}
	}
	if region == "" {
		return nil, usageError{errors.New("--region is missing; give the region of --prices aws, such as ap-northeast-1")}
	}
	return aws.New(ctx, aws.Options{Region: region, Log: slog.New(slog.DiscardHandler)})
}
