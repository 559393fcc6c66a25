// Command opening measures what a capacity report of thirty days costs: to make it, its size, and the time until a browser has it open.
// It prints one JSON line a figure.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/chromedp/chromedp"

	"swell/bench/browser"
	"swell/bench/figure"
	"swell/bench/ledgers"
	"swell/scaler/ledger"
	"swell/scaler/report"
	"swell/scaler/report/render"
)

func main() {
	days := flag.Int("days", 30, "days of the report")
	nodes := flag.Int("nodes", 200, "nodes at the busiest hour")
	workloads := flag.Int("workloads", 60, "workloads")
	runs := flag.Int("runs", 5, "times that the page is opened; the median counts")
	keep := flag.String("keep", "", "file to keep the page in")
	flag.Parse()
	if flag.NArg() > 0 || *days < 1 || *runs < 1 {
		fmt.Fprintln(os.Stderr, "opening: give flags alone, and --days and --runs above 0")
		os.Exit(2)
	}
	if err := measure(ledgers.Cluster{Days: *days, Peak: *nodes, Workloads: *workloads}, *runs, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "opening:", err)
		os.Exit(1)
	}
}

func measure(c ledgers.Cluster, runs int, keep string) error {
	fmt.Fprintf(os.Stderr, "%s  making a ledger of %d days and %d nodes\n", time.Now().Format(time.TimeOnly), c.Days, c.Peak)
	var entries []ledger.Entry
	for e := range c.Entries() {
		entries = append(entries, e)
	}
	began := time.Now()
	r, err := report.Make(slices.Values(entries), report.Options{})
	if err != nil {
		return err
	}
	var body bytes.Buffer
	if err := render.HTML(&body, r); err != nil {
		return err
	}
	made := time.Since(began)
	dir, err := os.MkdirTemp("", "opening")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "report.html")
	for _, p := range []string{path, keep} {
		if p == "" {
			continue
		}
		if err := os.WriteFile(p, body.Bytes(), 0o644); err != nil {
			return fmt.Errorf("writing the page: %w; give a path that can be written", err)
		}
	}
	fmt.Fprintf(os.Stderr, "%s  opening the page %d times\n", time.Now().Format(time.TimeOnly), runs)
	loaded, drawn, painted, err := opening(dir, path, runs)
	if err != nil {
		return err
	}
	labels := map[string]string{"days": fmt.Sprint(c.Days), "nodes": fmt.Sprint(c.Peak), "workloads": fmt.Sprint(c.Workloads)}
	out := json.NewEncoder(os.Stdout)
	for _, f := range []figure.Figure{
		{Metric: "entries", Value: float64(len(entries)), Unit: "count"},
		{Metric: "make", Value: made.Seconds(), Unit: "s"},
		{Metric: "page_size", Value: float64(body.Len()) / (1 << 20), Unit: "MiB"},
		{Metric: "load_event", Value: loaded, Unit: "ms"},
		{Metric: "plots_drawn", Value: drawn, Unit: "ms"},
		{Metric: "first_paint", Value: painted, Unit: "ms"},
	} {
		f.Bench, f.Labels = "report", labels
		if err := out.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// opening is the median time in milliseconds from the navigation's start to the load event, to the drawn plots, and to the first paint
// with content. Each run is a browser of its own, on a profile that has seen nothing.
func opening(dir, path string, runs int) (loaded, drawn, painted float64, err error) {
	binary, err := browser.Binary()
	if err != nil {
		return 0, 0, 0, fmt.Errorf("opening the page: %w", err)
	}
	var all [3][]float64
	for n := range runs {
		times, err := once(binary, filepath.Join(dir, fmt.Sprint("profile-", n)), path)
		if err != nil {
			return 0, 0, 0, fmt.Errorf("opening the page: %w", err)
		}
		for i, v := range times {
			all[i] = append(all[i], v)
		}
	}
	for i := range all {
		slices.Sort(all[i])
	}
	return all[0][runs/2], all[1][runs/2], all[2][runs/2], nil
}

func once(binary, profile, path string) ([]float64, error) {
	allocator, stop := chromedp.NewExecAllocator(context.Background(), browser.Options(binary, profile)...)
	defer stop()
	ctx, cancel := chromedp.NewContext(allocator)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 900), chromedp.Navigate("file://"+path), chromedp.WaitVisible(chromedp.CSS(".plot svg"))); err != nil {
		return nil, err
	}
	const times = `new Promise((done) => setTimeout(() => {
		const paint = performance.getEntriesByName("first-contentful-paint")[0];
		done([performance.getEntriesByType("navigation")[0].loadEventEnd, performance.getEntriesByName("plots drawn")[0].startTime, paint ? paint.startTime : -1]);
	}, 300))`
	return chromedp.Run(ctx, chromedp.Evaluate[[]float64](times, chromedp.EvalAwaitPromise))
}
