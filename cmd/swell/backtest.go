package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"swell/scaler/forecast"
	"swell/scaler/series"
)

func backtestCommand() *cobra.Command {
	var o seriesFlags
	var out string
	c := &cobra.Command{
		Use:   "backtest --series F",
		Short: "Forecast every row of a series' last third from before it, and score that",
		Long: `Forecast every row of a series' last third from the rows up to one horizon before it, and score that. Rows that are
unknown are no targets. A file that ends in .gz is decompressed.

  wape      how far the forecasts were off: the sum of |actual − forecast| over that of the actual values
  coverage  the share of targets that the quantile was not below; it should be near the quantile
  over      how much more the quantiles were than the actual values, in sum: what capacity of that size has to spare
  unserved  what was above the quantiles, as a share of the actual values: what capacity of that size does not serve
  pinball   the quantile's loss, as a share of the mean value: misses weigh by the quantile q, what is spare by 1 − q

Where targets were not ready (too little history, too few outcomes for the quantile) their number is told; the newest value
stands in for their forecasts in all of these.`,
		Example: "  swell backtest --series load.csv --horizon 1h --quantile 0.95 --timezone Europe/Paris --holidays FR",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runBacktest(cmd, o, out) },
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
	if o.asJSON {
		return printJSON(cmd.OutOrStdout(), sc)
	}
	return printScore(cmd.OutOrStdout(), o, s, rows, sc)
}

func printScore(w io.Writer, o seriesFlags, s series.Series, rows []forecast.Row, sc forecast.Score) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s"+format+"\n", append([]any{name}, args...)...)
	}
	line("series", "%s, %d rows of %s", o.file, s.Len(), brief(s.Step))
	line("horizon", "%s", brief(o.horizon))
	line("quantile", "%g", o.quantile)
	line("targets", "%s to %s", rows[0].Target.Format(time.RFC3339), rows[len(rows)-1].Target.Format(time.RFC3339))
	line("rows", "%d", sc.Rows)
	if sc.NotReady > 0 {
		line("not ready", "%d: too little history, or too few outcomes for the quantile; the newest value stands in", sc.NotReady)
	}
	line("wape", "%.2f %%", sc.WAPE*100)
	line("coverage", "%.2f %%", sc.Coverage*100)
	line("over", "%.2f %%", sc.Over*100)
	line("unserved", "%.3f %%", sc.Unserved*100)
	line("pinball", "%.3f %%", sc.Pinball*100)
	_, err := io.WriteString(w, b.String())
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
