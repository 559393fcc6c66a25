package main

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"swell/metrics/server"
	"swell/nodegroups/aws"
	"swell/scaler"
	_ "swell/scaler/ledger/ship" // its metrics, which swell-scaler's main package brings
)

// Metric is one that a program gives to Prometheus.
type Metric struct {
	Name, Help string
	// Type is gauge or counter.
	Type string
	// Labels in the order of their declaration; Partition are those that partitionMetrics adds.
	Labels, Partition []string
	// Program is swell-scaler or swell-metrics.
	Program string
	// Both programs give it.
	Both bool
}

// Catalogue reads swell's own metrics from the collectors that the programs register, those without a sample too, by name.
func Catalogue() ([]Metric, error) {
	scaler.RegisterMetrics()
	registered, err := registeredWith(metrics.Registry)
	if err != nil {
		return nil, err
	}
	all := map[string]Metric{}
	note := func(program string, partition bool, collectors ...prometheus.Collector) error {
		for _, c := range collectors {
			descs := make(chan *prometheus.Desc)
			go func() { c.Describe(descs); close(descs) }()
			for d := range descs {
				m, err := read(d)
				if err != nil {
					return err
				}
				if !strings.HasPrefix(m.Name, "swell_") && !strings.HasPrefix(m.Name, "kafka_") {
					continue
				}
				m.Program = program
				if partition && all[m.Name].Name == "" {
					m.Partition, m.Labels = m.Labels, nil
				}
				if have, twice := all[m.Name]; twice {
					if partition {
						have.Partition = slices.DeleteFunc(m.Labels, func(l string) bool { return slices.Contains(have.Labels, l) })
						all[m.Name] = have
						continue
					}
					if have.Program != program && have.Help == m.Help && slices.Equal(have.Labels, m.Labels) {
						have.Both = true
						all[m.Name] = have
						continue
					}
					return fmt.Errorf("metric %s is described twice: give one of them another name", m.Name)
				}
				all[m.Name] = m
			}
		}
		return nil
	}
	if err := note("swell-scaler", false, append(registered, (*aws.Client)(nil).Collector())...); err != nil {
		return nil, err
	}
	plain, partitions := server.Collectors()
	if err := note("swell-metrics", false, plain...); err != nil {
		return nil, err
	}
	if err := note("swell-metrics", true, partitions...); err != nil {
		return nil, err
	}
	var list []Metric
	for _, m := range all {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b Metric) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// registeredWith are the collectors of a registry. It has no method for them; a Gather shows only what has a sample already.
func registeredWith(r any) ([]prometheus.Collector, error) {
	registry, ok := r.(*prometheus.Registry)
	if !ok {
		return nil, fmt.Errorf("reading the registry of controller-runtime: it is a %T now; read its collectors from that", r)
	}
	field := reflect.ValueOf(registry).Elem().FieldByName("collectorsByID")
	if !field.IsValid() {
		return nil, fmt.Errorf("reading a prometheus.Registry: it has no collectorsByID any more; read its collectors from what it has now")
	}
	byID, ok := reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Interface().(map[uint64]prometheus.Collector)
	if !ok {
		return nil, fmt.Errorf("reading a prometheus.Registry: its collectorsByID is a %s now", field.Type())
	}
	var all []prometheus.Collector
	for _, c := range byID {
		all = append(all, c)
	}
	return all, nil
}

var described = regexp.MustCompile(`^Desc\{fqName: "([^"]*)", help: ("(?:[^"\\]|\\.)*"), (?:unit: "[^"]*", )?constLabels: \{[^}]*\}, variableLabels: \{([^}]*)\}\}$`)

// read takes a description apart. What it does not give, the type, is told by the name, as Prometheus's conventions have it.
func read(d *prometheus.Desc) (Metric, error) {
	m := described.FindStringSubmatch(d.String())
	if m == nil {
		return Metric{}, fmt.Errorf("reading the description %s: client_golang writes it otherwise now", d)
	}
	help := strings.TrimSuffix(strings.TrimPrefix(m[2], `"`), `"`)
	out := Metric{Name: m[1], Help: strings.ReplaceAll(help, `\"`, `"`), Type: "gauge"}
	if strings.HasSuffix(out.Name, "_total") {
		out.Type = "counter"
	}
	for l := range strings.SplitSeq(m[3], ",") {
		if l = strings.TrimSpace(l); l != "" {
			out.Labels = append(out.Labels, l)
		}
	}
	return out, nil
}
