package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
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
	loc, err := time.LoadLocation(o.timezone)
	if err != nil || o.timezone == "" {
		return bad(fmt.Errorf("--timezone %q is not a time zone; give an IANA name such as Europe/Paris", o.timezone))
	}
	opts.Location = loc
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
	if o.horizon <= 0 || o.horizon%s.Step != 0 || o.horizon > 48*time.Hour {
		return bad(fmt.Errorf("--horizon is %v and %s has a step of %v; give a multiple of the step, at most 48h", o.horizon, o.file, s.Step))
	}
	if err := opts.Validate(); err != nil {
		return bad(fmt.Errorf("%s: %w", o.file, err))
	}
	return s, opts, nil
}

func forecastCommand() *cobra.Command {
	var o seriesFlags
	c := &cobra.Command{
		Use:   "forecast --series F",
		Short: "Forecast one row of a series from its end",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runForecast(cmd, o) },
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
	out := forecastOutput{
		Origin: s.End().Add(-s.Step), Target: s.End().Add(o.horizon - s.Step), Forecast: number(a.Point), Upper: number(a.Upper),
		Ready: a.Ready, Reason: a.Reason, Experts: a.Experts,
	}
	if out.Experts == nil {
		out.Experts = []forecast.Expert{}
	}
	w := cmd.OutOrStdout()
	if o.asJSON {
		return printJSON(w, out)
	}
	fmt.Fprintf(w, "origin    %s\ntarget    %s\nforecast  %.6g\nupper     %.6g  (%g quantile)\n", out.Origin.Format(time.RFC3339),
		out.Target.Format(time.RFC3339), a.Point, a.Upper, o.quantile)
	if !a.Ready {
		fmt.Fprintf(w, "not ready %s\n", a.Reason)
	}
	for _, e := range a.Experts {
		if e.Weight >= 0.01 {
			fmt.Fprintf(w, "  %5.1f %%  %-16s %.6g\n", e.Weight*100, e.Name, e.Forecast)
		}
	}
	return nil
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

func backtestCommand() *cobra.Command {
	var o seriesFlags
	var out string
	c := &cobra.Command{
		Use:   "backtest --series F",
		Short: "Forecast every row of a series' last third from before it, and score that",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runBacktest(cmd, o, out) },
	}
	o.register(c)
	c.Flags().StringVar(&out, "out", "", "CSV file to write the rows to: target,origin,actual,forecast,upper")
	return c
}

func runBacktest(cmd *cobra.Command, o seriesFlags, out string) error {
	s, opts, err := o.load(cmd)
	if err != nil {
		return err
	}
	rows, err := forecast.Backtest(s, opts, o.horizon, o.quantile, s.Len()-s.Len()/3)
	if err != nil {
		return usageError{fmt.Errorf("%s: %s: %w", cmd.CommandPath(), o.file, err)}
	}
	if out != "" {
		if err := writeRows(out, rows); err != nil {
			return err
		}
	}
	sc := forecast.ScoreOf(rows, o.quantile)
	if math.IsNaN(sc.WAPE) || math.IsInf(sc.WAPE, 0) {
		return fmt.Errorf("back-testing %s: the last third is unknown or zero throughout; cut the file where its load ends", o.file)
	}
	w := cmd.OutOrStdout()
	if o.asJSON {
		return printJSON(w, sc)
	}
	_, err = fmt.Fprintf(w, "rows %d\nwape %.2f %%\ncoverage %.2f %%\nover %.2f %%\nunserved %.3f %%\npinball %.3f %%\n",
		sc.Rows, sc.WAPE*100, sc.Coverage*100, sc.Over*100, sc.Unserved*100, sc.Pinball*100)
	return err
}

func writeRows(path string, rows []forecast.Row) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("writing the rows: %w; give a path that can be written", err)
	}
	defer func() {
		if e := f.Close(); err == nil && e != nil {
			err = fmt.Errorf("writing the rows to %s: %w", path, e)
		}
	}()
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "target,origin,actual,forecast,upper")
	text := func(v float64) string {
		if math.IsNaN(v) {
			return ""
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	for _, r := range rows {
		fmt.Fprintf(w, "%s,%s,%s,%s,%s\n", r.Target.Format(time.RFC3339), r.Origin.Format(time.RFC3339),
			text(r.Actual), text(r.Forecast), text(r.Upper))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the rows to %s: %w", path, err)
	}
	return nil
}
