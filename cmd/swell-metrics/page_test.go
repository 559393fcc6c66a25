package main

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// documented is a row of the page: the labels that a metric has, and those that it has with partitionMetrics.
type documented struct{ always, sometimes []string }

var (
	pageRow   = regexp.MustCompile("(?m)^\\| `((?:kafka|swell)_[a-z_]+)` \\| (counter|gauge) \\|([^|]*)\\|")
	pageLabel = regexp.MustCompile("(\\(?)`([a-z]+)`")
)

func pageRows(t *testing.T) map[string]documented {
	t.Helper()
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]documented{}
	for _, m := range pageRow.FindAllStringSubmatch(string(page), -1) {
		if _, twice := rows[m[1]+" "+m[2]]; twice {
			t.Errorf("docs/metrics.md has two rows of %s", m[1])
		}
		var d documented
		for _, l := range pageLabel.FindAllStringSubmatch(m[3], -1) {
			if l[1] == "" {
				d.always = append(d.always, l[2])
			} else {
				d.sometimes = append(d.sometimes, l[2])
			}
		}
		rows[m[1]+" "+m[2]] = d
	}
	return rows
}

// scraped are the labels of each series of swell's and of Kafka's, by name and type.
func (r *rig) scraped() (map[string][][]string, error) {
	resp, err := r.plain("/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		return nil, err
	}
	all := map[string][][]string{}
	for name, f := range families {
		if !strings.HasPrefix(name, "swell_") && !strings.HasPrefix(name, "kafka_") {
			continue
		}
		kind := "gauge"
		if f.GetType() == dto.MetricType_COUNTER {
			kind = "counter"
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName())
			}
			all[name+" "+kind] = append(all[name+" "+kind], labels)
		}
	}
	return all, nil
}

// comparePage scrapes until everything that the page tells of was seen, with partitionMetrics and without; what it does not tell of
// must not be there.
func (r *rig) comparePage(t *testing.T) {
	t.Helper()
	rows := pageRows(t)
	seen := map[string]bool{}
	for _, more := range []string{"", "partitionMetrics: true\n"} {
		r.configure(t, more)
		wanted := func(name string, d documented) bool { return more != "" || !slices.Contains(d.always, "partition") }
		eventually(t, "all metrics of docs/metrics.md with "+more, func() error {
			all, err := r.scraped()
			if err != nil {
				return err
			}
			if by := all["kafka_consumergroup_lag gauge"]; len(by) == 0 || slices.Contains(by[0], "partition") != (more != "") {
				return errors.New("the configuration is not in force yet")
			}
			for name, series := range all {
				seen[name] = true
				d, ok := rows[name]
				if !ok {
					t.Fatalf("%s has no row in docs/metrics.md", name)
				}
				for _, labels := range series {
					want := d.always
					if more != "" {
						want = slices.Concat(d.always, d.sometimes)
					}
					if !slices.Equal(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(labels))) {
						t.Fatalf("%s has the labels %v, docs/metrics.md says %v", name, labels, want)
					}
				}
			}
			for name, d := range rows {
				if _, ok := all[name]; !ok && wanted(name, d) {
					return fmt.Errorf("%s is not there", name)
				}
			}
			return nil
		})
	}
	r.compareNames(t)
	if missing := slices.DeleteFunc(slices.Sorted(maps.Keys(rows)), func(name string) bool { return seen[name] }); len(missing) > 0 || len(rows) == 0 {
		t.Errorf("docs/metrics.md tells of %v, which nobody saw", missing)
	}
}

// compareNames compares what HPAs may name with the page's first table.
func (r *rig) compareNames(t *testing.T) {
	t.Helper()
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var told, served []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`(?:kafka|swell)_[^|]*) \\| (?:messages|seconds|messages/s|pods) \\|").FindAllStringSubmatch(string(page), -1) {
		for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row[1], -1) {
			told = append(told, name[1])
		}
	}
	list, err := r.core.Discovery().ServerResourcesForGroupVersion("external.metrics.k8s.io/v1beta1")
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range list.APIResources {
		served = append(served, one.Name)
	}
	slices.Sort(told)
	slices.Sort(served)
	if !slices.Equal(told, served) {
		t.Errorf("docs/metrics.md tells of %v, HPAs may name %v", told, served)
	}
}
