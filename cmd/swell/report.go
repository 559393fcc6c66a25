package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"swell/scaler/ledger"
	"swell/scaler/report"
	"swell/scaler/report/render"
)

type reportFlags struct {
	ledger, from, to, period, timezone, bill, region string
	prices, out                                      []string
	asJSON                                           bool
}

// reportForms are the forms of a report by the ending of its file.
var reportForms = map[string]func(io.Writer, *report.Report) error{".html": render.HTML, ".csv": render.CSV, ".json": render.JSON, ".md": render.Markdown}

func reportCommand() *cobra.Command {
	var o reportFlags
	c := &cobra.Command{
		Use:   "report --ledger DIR",
		Short: "Say what capacity was asked for, held, idle and paid, from the ledger",
		Long: `Say what capacity was asked for, held as headroom, idle and paid in a day, week or month, by pool, zone, market, namespace and
workload; what headroom cost and which waits it avoided; how good forecasts were; what the loss of a zone would have meant; and
which change of policy would have cost how much less. It reads a copy of the ledger's folder, ledgerDir of swell-scaler's
configuration. The form follows from the ending of --out: .html is one page that asks for nothing from anywhere, .csv has one
line a name and measure, .json is what --json prints, .md is a summary. Without --out the summary is printed.

--period takes the newest that is over: yesterday, last Monday to Sunday, last month. A ledger that does not reach back to one gives
what it has of the running one. Without --period, --from and --to it is the whole ledger.

Prices are those that the scaler knew. --prices FILE has others, as the section prices of swell-scaler's configuration;
--prices aws reads AWS's own: the history of EC2's spot prices (ec2:DescribeSpotPriceHistory, 90 days back) and the on-demand prices
that are listed now (pricing:GetProducts). An unknown price stays unknown: its hours are counted apart.

--bill FILE compares with a bill, instance by instance: CSV with the columns id,type,zone,market,start,end,hourly, or JSON lines of
these fields.`,
		Example: `  swell ledger fetch --out ledger && swell report --ledger ledger --period week --timezone Asia/Tokyo --out report.html
  swell report --ledger ledger --from 2026-11-01 --to 2026-12-01 --prices prices.yaml --bill bill.csv --out report.html --out report.csv`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runReport(cmd, o) },
	}
	fl := c.Flags()
	fl.StringVar(&o.ledger, "ledger", "", "folder of the ledger (required)")
	fl.StringVar(&o.from, "from", "", "where the period begins: a day such as 2026-11-01, or a time such as 2026-11-01T09:00:00Z")
	fl.StringVar(&o.to, "to", "", "where it ends, itself excluded; as --from")
	fl.StringVar(&o.period, "period", "", "in place of both: day, week or month")
	fl.StringVar(&o.timezone, "timezone", "UTC", "IANA name of the zone that days are of")
	fl.StringArrayVar(&o.out, "out", nil, "file to write: .html, .csv, .json or .md; may be repeated")
	fl.StringArrayVar(&o.prices, "prices", nil, "a file with prices, or aws; may be repeated: a file goes before aws")
	fl.StringVar(&o.region, "region", "", "region of --prices aws (default that of the environment)")
	fl.StringVar(&o.bill, "bill", "", "a bill to compare with")
	fl.BoolVar(&o.asJSON, "json", false, "print one JSON document")
	return c
}

func runReport(cmd *cobra.Command, o reportFlags) error {
	bad := func(err error) error { return usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)} }
	options, err := o.options()
	if err != nil {
		return bad(err)
	}
	books, torn, err := readBooks(o.ledger, cmd.ErrOrStderr())
	if err != nil {
		return bad(err)
	}
	options.Torn = torn
	first, last := books.Span()
	if o.period != "" && first.Before(last) {
		options.From, options.To = lastPeriod(o.period, first, last, options.Location)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if slices.Contains(o.prices, "aws") {
		if err := awsPrices(ctx, o.region, books, &options, cmd.ErrOrStderr()); err != nil {
			return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
		}
	}
	r, err := books.Report(options)
	if err != nil {
		return bad(err)
	}
	for _, path := range o.out {
		if err := writeReport(path, r); err != nil {
			return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "written: %s\n", path)
	}
	switch w := cmd.OutOrStdout(); {
	case o.asJSON:
		return render.JSON(w, r)
	case len(o.out) == 0:
		return render.Markdown(w, r)
	}
	return nil
}

// options are the flags' own, checked before anything is read that takes long.
func (o reportFlags) options() (out report.Options, err error) {
	if o.ledger == "" {
		return out, errors.New("--ledger is missing; give the folder that ledgerDir of swell-scaler's configuration names")
	}
	for _, path := range o.out {
		if reportForms[strings.ToLower(filepath.Ext(path))] == nil {
			return out, fmt.Errorf("--out %s: its form is not known; give a path that ends in .html, .csv, .json or .md", path)
		}
	}
	if out.Location, err = timezone(o.timezone); err != nil {
		return out, err
	}
	if o.period != "" && (o.from != "" || o.to != "") {
		return out, errors.New("--period stands in place of --from and --to; leave one of them out")
	}
	if o.period != "" && !slices.Contains([]string{"day", "week", "month"}, o.period) {
		return out, fmt.Errorf("--period %q is not known; give day, week or month", o.period)
	}
	if out.From, err = instant("--from", o.from, out.Location); err != nil {
		return out, err
	}
	if out.To, err = instant("--to", o.to, out.Location); err != nil {
		return out, err
	}
	for _, file := range o.prices {
		if file == "aws" {
			continue
		}
		more, err := readPrices(file)
		if err != nil {
			return out, fmt.Errorf("--prices: %w", err)
		}
		out.Prices = append(out.Prices, more...)
	}
	if o.bill != "" {
		if out.Bill, err = readBill(o.bill); err != nil {
			return out, fmt.Errorf("--bill: %w", err)
		}
	}
	return out, out.Validate()
}

// instant of a flag: a time, or a day's beginning.
func instant(flag, text string, loc *time.Location) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, text, loc)
	if err != nil {
		return t, fmt.Errorf("%s %q is neither a day nor a time; write 2026-11-01 or 2026-11-01T09:00:00Z", flag, text)
	}
	return t, nil
}

// lastPeriod is the newest day, week or month that is over at last; where the ledger began later, the running one up to last.
func lastPeriod(name string, first, last time.Time, loc *time.Location) (from, to time.Time) {
	t := last.In(loc)
	today := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, loc)
	switch name {
	case "day":
		from, to = today.AddDate(0, 0, -1), today
	case "week":
		to = today.AddDate(0, 0, -(int(today.Weekday())+6)%7)
		from = to.AddDate(0, 0, -7)
	default:
		to = time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, loc)
		from = to.AddDate(0, -1, 0)
	}
	if !first.Before(to) {
		return to, last
	}
	return from, to
}

// readBooks reads a ledger and tells every few seconds how far it is.
func readBooks(dir string, notes io.Writer) (books *report.Books, torn int, err error) {
	const every = 5 * time.Second
	told, n := time.Now(), 0
	books = report.Keep(func(yield func(ledger.Entry) bool) {
		torn, err = ledger.WalkAll(dir, func(e ledger.Entry) error {
			if now := time.Now(); now.Sub(told) >= every {
				told = now
				fmt.Fprintf(notes, "%s  reading %s: %d entries, to %s\n", now.Format(time.TimeOnly), dir, n, e.Model.UTC().Format("2006-01-02 15:04"))
			}
			n++
			yield(e) // Keep takes them all
			return nil
		})
	})
	return books, torn, err
}

// writeReport stores a report, whole or not at all, in a folder that is made if need be.
func writeReport(path string, r *report.Report) error {
	var body bytes.Buffer
	if err := reportForms[strings.ToLower(filepath.Ext(path))](&body, r); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("writing the report: %w; give a path that can be written", err)
	}
	if err := os.WriteFile(path+".new", body.Bytes(), 0o644); err != nil {
		return fmt.Errorf("writing the report: %w; give a path that can be written", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("writing the report: %w; give a path that can be written", err)
	}
	return nil
}

func readBill(path string) ([]report.BillLine, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w; give a file of CSV or JSON lines", err)
	}
	defer f.Close()
	lines, err := report.ReadBill(f)
	if err != nil {
		return nil, fmt.Errorf("%s, %w", path, err)
	}
	if lines == nil {
		lines = []report.BillLine{}
	}
	return lines, nil
}
