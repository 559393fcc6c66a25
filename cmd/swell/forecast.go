package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"swell/scaler/forecast"
	"swell/scaler/schedule"
	"swell/scaler/series"
)

// seriesFlags are what forecast and backtest have in common.
type seriesFlags struct {
	file, timezone, holidays string
	horizon                  time.Duration
	quantile                 float64
	asJSON                   bool
}

func (o *seriesFlags) register(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVar(&o.file, "series", "", "CSV file, timestamp,value, UTC and regular (required)")
	fl.DurationVar(&o.horizon, "horizon", time.Hour, "how far ahead; a multiple of the series' step, at most 48h")
	fl.Float64Var(&o.quantile, "quantile", 0.95, "the quantile of the upper bound, above 0 and below 1")
	fl.StringVar(&o.timezone, "timezone", "UTC", "IANA name of the zone that the load lives by")
	fl.StringVar(&o.holidays, "holidays", "", "two-letter country whose holidays count as Sundays")
	fl.BoolVar(&o.asJSON, "json", false, "print one JSON document")
}

// load checks the flags and reads the series.
func (o *seriesFlags) load(cmd *cobra.Command) (series.Series, forecast.Options, error) {
	var opts forecast.Options
	bad := func(err error) (series.Series, forecast.Options, error) {
		return series.Series{}, opts, usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)}
	}
	if o.file == "" {
		return bad(fmt.Errorf("--series is missing; give the path of a CSV file"))
	}
	if !(o.quantile > 0 && o.quantile < 1) {
		return bad(fmt.Errorf("--quantile is %g; give a number above 0 and below 1", o.quantile))
	}
	var err error
	if opts.Location, err = timezone(o.timezone); err != nil {
		return bad(err)
	}
	if o.holidays != "" {
		if opts.Holiday, err = schedule.Holidays(o.holidays); err != nil {
			return bad(fmt.Errorf("--holidays: %w", err))
		}
	}
	s, err := series.ReadFile(o.file)
	if err != nil {
		return bad(err)
	}
	opts.Step, opts.Horizons = s.Step, []time.Duration{o.horizon}
	opts.Leads, opts.Orders = []time.Duration{}, []time.Duration{}
	switch {
	case o.horizon <= 0:
		return bad(fmt.Errorf("--horizon is %s; give a duration above zero", brief(o.horizon)))
	case o.horizon > 48*time.Hour:
		return bad(fmt.Errorf("--horizon is %s; give at most 48h", brief(o.horizon)))
	case o.horizon%s.Step != 0:
		return bad(fmt.Errorf("--horizon is %s and %s has a step of %s; give a multiple of the step, such as %s",
			brief(o.horizon), o.file, brief(s.Step), brief((o.horizon/s.Step+1)*s.Step)))
	}
	if err := opts.Validate(); err != nil {
		return bad(fmt.Errorf("%s: %w", o.file, err))
	}
	return s, opts, nil
}

// timezone is a zone by its IANA name. Local is none: it is another zone on every machine.
func timezone(name string) (*time.Location, error) {
	loc, err := time.LoadLocation(name)
	if err != nil || name == "" || name == time.Local.String() {
		return nil, fmt.Errorf("--timezone %q is not a time zone; give an IANA name such as Europe/Paris", name)
	}
	return loc, nil
}

func forecastCommand() *cobra.Command {
	var o seriesFlags
	c := &cobra.Command{
		Use:   "forecast --series F",
		Short: "Forecast one row of a series from its end",
		Long: `Forecast one row of a series from its end: its value, and the quantile that it stays below. Below these are the experts
that the forecast is blended of, by their weight. Where it is not ready, the reason is told, and the newest value stands in.
A file that ends in .gz is decompressed.`,
		Example: "  swell forecast --series load.csv --horizon 15m --timezone Europe/Paris --holidays FR",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runForecast(cmd, o) },
	}
	o.register(c)
	return c
}

type forecastOutput struct {
	Origin   time.Time         `json:"origin"` // the stamp of the last row that was used
	Target   time.Time         `json:"target"`
	Forecast *float64          `json:"forecast"` // null is unknown
	Upper    *float64          `json:"upper"`
	Ready    bool              `json:"ready"`
	Reason   string            `json:"reason,omitempty"`
	Experts  []forecast.Expert `json:"experts"`
}

func runForecast(cmd *cobra.Command, o seriesFlags) error {
	s, opts, err := o.load(cmd)
	if err != nil {
		return err
	}
	f, err := forecast.New(opts)
	if err != nil {
		return err
	}
	if err := f.Backfill(s); err != nil {
		return err
	}
	a := f.ForecastAfter(s.End(), o.horizon, o.quantile)
	if middle := f.ForecastAfter(s.End(), o.horizon, 0.5); !a.Ready && middle.Ready { // too few outcomes for the quantile alone
		a.Point, a.Upper, a.Experts = middle.Point, math.NaN(), middle.Experts
	}
	out := forecastOutput{
		Origin: s.End().Add(-s.Step), Target: s.End().Add(o.horizon - s.Step), Forecast: number(a.Point), Upper: number(a.Upper),
		Ready: a.Ready, Reason: a.Reason, Experts: a.Experts,
	}
	if out.Experts == nil {
		out.Experts = []forecast.Expert{}
	}
	if o.asJSON {
		return printJSON(cmd.OutOrStdout(), out)
	}
	return printForecast(cmd.OutOrStdout(), out, o.quantile)
}

// shownWeight is the least share of an expert that has a line of its own.
const shownWeight = 0.01

func printForecast(w io.Writer, out forecastOutput, quantile float64) error {
	var b strings.Builder
	fmt.Fprintf(&b, "origin    %s\ntarget    %s\nforecast  %s\nupper     %s  (%g quantile)\n", out.Origin.Format(time.RFC3339),
		out.Target.Format(time.RFC3339), decimal(out.Forecast), decimal(out.Upper), quantile)
	if !out.Ready {
		fmt.Fprintf(&b, "not ready %s\n", out.Reason)
	}
	others := 0.0
	for _, e := range out.Experts {
		if e.Weight < shownWeight {
			others += e.Weight
			continue
		}
		fmt.Fprintf(&b, "  %5.1f %%  %-16s %s\n", e.Weight*100, e.Name, decimal(number(e.Forecast)))
	}
	if others >= 0.0005 {
		fmt.Fprintf(&b, "  %5.1f %%  others\n", others*100)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// decimal is a number in six digits or, where it is larger, to the whole; never with an exponent.
func decimal(v *float64) string {
	if v == nil {
		return "unknown"
	}
	decimals := 0
	if *v != 0 {
		decimals = min(max(5-int(math.Floor(math.Log10(math.Abs(*v)))), 0), 9)
	}
	text := strconv.FormatFloat(*v, 'f', decimals, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// brief is a duration without units that are zero.
func brief(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
