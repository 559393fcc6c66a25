// Command monitoring writes docs/metrics-reference.md from what the programs register, and docs/alerts.md from the rules. Its tests hold the dashboards, the rules and
// the monitors that the chart ships against the same metrics.
package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

const page = "docs/metrics-reference.md"

func main() {
	if len(os.Args) > 1 {
		fmt.Fprintf(os.Stderr, "monitoring: unknown argument %q; it writes %s and %s, and takes none\n", os.Args[1], page, alertsPage)
		os.Exit(2)
	}
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, "monitoring:", err)
		os.Exit(1)
	}
}

func write() error {
	all, err := Catalogue()
	if err != nil {
		return err
	}
	text, err := reference(all)
	if err != nil {
		return err
	}
	alerts, err := readAlerts(rules)
	if err != nil {
		return err
	}
	for path, text := range map[string][]byte{page: text, alertsPage: listOfAlerts(alerts)} {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return fmt.Errorf("writing %s: %w; run it in the project's root", path, err)
		}
	}
	return nil
}

// reference is the page of all metrics.
func reference(all []Metric) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(`# Metrics

All that swell's own programs give to Prometheus, written by ` + "`go run ./bench/monitoring`" + ` from what they register. The Go runtime's, the
process's, controller-runtime's and the API server's are there too, and not listed. What is unknown is absent, never 0.

Of swell-scaler the replica that leads has those of plans; the others have counters at 0. Every replica of swell-metrics polls and has
all of its own: take the maximum over replicas, not the sum. Labels in brackets are there with ` + "`partitionMetrics: true`" + `,
and so are metrics that have such labels alone.
Times are the machine's. [What to alert on](alerts.md).
`)
	for _, program := range []string{"swell-scaler", "swell-metrics"} {
		fmt.Fprintf(&b, "\n## %s\n\n| metric | type | labels | unit | is |\n|---|---|---|---|---|\n", program)
		for _, m := range all {
			if m.Program != program && !m.Both {
				continue
			}
			u, err := unit(m)
			if err != nil {
				return nil, err
			}
			labels := quoted(m.Labels, "`%s`")
			if more := quoted(m.Partition, "(`%s`)"); more != "" {
				labels = strings.TrimSpace(labels + " " + more)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.Name, m.Type, labels, u, strings.ReplaceAll(m.Help, "|", `\|`))
		}
	}
	return b.Bytes(), nil
}

func quoted(labels []string, how string) string {
	var words []string
	for _, l := range labels {
		words = append(words, fmt.Sprintf(how, l))
	}
	return strings.Join(words, " ")
}

// units by the end of a metric's name, the longest first.
var units = []struct{ end, unit string }{
	{"_timestamp_seconds", "s since 1970"}, {"_seconds", "s"}, {"_bytes_total", "bytes"},
	{"_instances_total", "instances"}, {"_never_joined_total", "instances"}, {"_launched_total", "instances"}, {"_checks_total", "forecasts"},
	{"_samples_total", "samples"}, {"_polls_total", "polls"}, {"_polls_failed_total", "polls"}, {"_requests_total", "requests"}, {"_requests_skipped_total", "requests"},
	{"_throttled_total", "answers"}, {"_checkpoints_total", "checkpoints"}, {"_backfills_total", "backfills"}, {"_failures_total", "failures"},
	{"_interruptions_total", "notices"}, {"_entries_lost_total", "entries"}, {"_waiting_entries", "entries"}, {"_copies_lost_total", "lines"}, {"_ship_failures_total", "files"}, {"_unshipped_files", "files"}, {"_notices_total", "messages"}, {"_guard_news_total", "news"}, {"_instances", "instances"}, {"_pods", "pods"}, {"_replicas", "pods"}, {"_messages", "messages"},
	{"_lag", "messages"}, {"_lag_sum", "messages"}, {"_offset", "offset"}, {"_rate", "messages/s"}, {"_call_budget", "calls/s"},
	{"_hourly_cost", "currency/h"}, {"_hourly_cost_limit", "currency/h"}, {"_brokers_failing", "brokers"}, {"_drains", "nodes"}, {"_drains_failed", "nodes"},
	{"_balloons_wanted", "balloons"}, {"_balloons_running", "balloons"}, {"_build_info", "1"}, {"_quantile", "0 to 1"}, {"_problems", "problems"},
	{"_condition", "0 or 1"}, {"_available", "0 or 1"}, {"_enforcing", "0 or 1"}, {"_unknown", "0 or 1"}, {"_saturated", "0 or 1"}, {"_success", "0 or 1"},
}

func unit(m Metric) (string, error) {
	for _, u := range units {
		if strings.HasSuffix(m.Name, u.end) {
			return u.unit, nil
		}
	}
	return "", fmt.Errorf("metric %s: no unit is known of it; add the end of its name to units in bench/monitoring/main.go", m.Name)
}
