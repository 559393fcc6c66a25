package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"

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

// spotHistory reads what spot cost in the time of the ledger, of the types that are in it.
func spotHistory(ctx context.Context, region string, books *report.Books) ([]report.Price, error) {
	types := books.Types()
	if len(types) == 0 {
		return nil, nil
	}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if region == "" {
			region = os.Getenv(name)
		}
	}
	if region == "" {
		return nil, usageError{errors.New("--region is missing; give the region of --prices aws, such as ap-northeast-1")}
	}
	client, err := aws.New(ctx, aws.Options{Region: region, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	from, to := books.Span()
	history, err := client.SpotPriceHistory(ctx, types, from, to)
	if err != nil {
		return nil, err
	}
	var out []report.Price
	for _, p := range history {
		out = append(out, report.Price{Type: p.Type, Market: "spot", Zone: p.Zone, From: p.From, Hourly: p.Hourly})
	}
	return out, nil
}

// withoutPriced are a file's prices, and of a history those that the file does not have.
func withoutPriced(history, file []report.Price) []report.Price {
	has := map[[2]string]bool{}
	for _, p := range file {
		has[[2]string{p.Type, p.Market}] = true
	}
	history = slices.DeleteFunc(history, func(p report.Price) bool { return has[[2]string{p.Type, p.Market}] })
	return append(file, history...)
}
