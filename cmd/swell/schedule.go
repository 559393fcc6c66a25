package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime"

	"swell/api/v1alpha1"
	"swell/scaler/schedule"
	"swell/scaler/series"
)

// mostPreviewed is the longest preview, in days.
const mostPreviewed = 62

// previewFlags say what is previewed.
type previewFlags struct {
	why                     whyFlags // the API server
	file, from, demand, out string
	names                   []string
	days                    int
	asJSON                  bool
}

func scheduleCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "schedule", Short: "Look at DiurnalSchedules", Args: noArgs,
		Long: "Look at DiurnalSchedules: the headroom that is known beforehand.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{fmt.Errorf("%s: no command was given; did you mean %s preview?", cmd.CommandPath(), cmd.CommandPath())}
		},
	}
	c.AddCommand(previewCommand())
	return c
}

func previewCommand() *cobra.Command {
	var f previewFlags
	c := &cobra.Command{
		Use:   "preview -f FILE | [NAMESPACE/]NAME...",
		Short: "Print and plot what DiurnalSchedules ask for in the coming week",
		Long: `Prints and plots what DiurnalSchedules ask for in the coming week, from a file or from the cluster. Of several, the
largest counts, as for a Balloon that names them all.`,
		Example: `  swell schedule preview -f office-hours.yaml
  swell schedule preview -f office-hours.yaml --from 2026-12-28 --days 14 --out new-year.svg
  swell schedule preview shop/office-hours --demand web.csv`,
		RunE: func(cmd *cobra.Command, args []string) error { return runPreview(cmd, args, f) },
	}
	fl := c.Flags()
	fl.StringVarP(&f.file, "file", "f", "", "YAML file with DiurnalSchedules; other objects in it are passed over")
	fl.StringSliceVar(&f.names, "name", nil, "of those in the file, only these")
	fl.StringVar(&f.from, "from", "", "first day, 2026-12-28, or time, RFC3339; absent: today in the schedule's time zone")
	fl.IntVar(&f.days, "days", 7, fmt.Sprintf("how many days, at most %d", mostPreviewed))
	fl.StringVar(&f.demand, "demand", "", "CSV file of the workload's demand in pods, timestamp,value: for what is usual, and for events that grow like a past one")
	fl.StringVar(&f.out, "out", "", "also write the plot to this file, .svg or .html")
	fl.StringVarP(&f.why.namespace, "namespace", "n", "", "namespace of the schedules; absent: that of the context; of those in a file, only that namespace's")
	fl.StringVar(&f.why.kubeconfig, "kubeconfig", "", "kubeconfig file; absent: as kubectl finds it")
	fl.StringVar(&f.why.context, "context", "", "context of the kubeconfig; absent: its current one")
	fl.BoolVar(&f.asJSON, "json", false, "print one JSON document")
	return c
}

// preview is what is shown.
type preview struct {
	Names     []string
	Location  *time.Location
	From, To  time.Time
	Schedules []*schedule.Schedule
	Demand    schedule.Demand
	Stretches []schedule.Stretch
	Problems  []string
}

func runPreview(cmd *cobra.Command, args []string, f previewFlags) error {
	bad := func(err error) error { return usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)} }
	switch {
	case f.file == "" && len(args) == 0:
		return bad(errors.New("no schedule was given; give a file with -f, or names of schedules in the cluster"))
	case f.file != "" && len(args) > 0:
		return bad(fmt.Errorf("-f and %q were given; give a file or names, not both; --name picks from the file", args[0]))
	case f.days < 1 || f.days > mostPreviewed:
		return bad(fmt.Errorf("--days is %d; give 1 to %d", f.days, mostPreviewed))
	case f.out != "" && !strings.HasSuffix(f.out, ".svg") && !strings.HasSuffix(f.out, ".html"):
		return bad(fmt.Errorf("--out is %q; give a path that ends in .svg or .html", f.out))
	}
	var p preview
	var specs []v1alpha1.DiurnalSchedule
	var err error
	if f.file != "" {
		specs, err = schedulesOfFile(f.file, f.why.namespace, f.names)
		if err != nil {
			return bad(err)
		}
	} else if specs, err = schedulesOfCluster(cmd, args, f.why); err != nil {
		return err
	}
	for _, d := range specs {
		s, problems := schedule.Compile(d.Spec)
		if s == nil { // the API server that has it knew the time zone
			return fmt.Errorf("read DiurnalSchedule %s: %s", d.Name, problems[0])
		}
		p.Names, p.Schedules = append(p.Names, d.Name), append(p.Schedules, s)
		for _, x := range problems {
			p.Problems = append(p.Problems, d.Name+": "+x.String())
		}
	}
	p.Location = p.Schedules[0].Location()
	if p.From, p.To, err = f.span(p.Location, time.Now()); err != nil {
		return bad(err)
	}
	if f.demand != "" {
		s, err := series.ReadFile(f.demand)
		if err != nil {
			return bad(err)
		}
		p.Demand = s.At
	}
	p.look()
	if f.out != "" {
		if err := p.writePlot(f.out); err != nil {
			return err
		}
	}
	if f.asJSON {
		err = printJSON(cmd.OutOrStdout(), p.output())
	} else {
		err = p.print(cmd.OutOrStdout())
	}
	if err == nil && len(p.Problems) > 0 {
		err = fmt.Errorf("%s: problems: %d; mend what is named above", cmd.CommandPath(), len(p.Problems))
	}
	return err
}

func (p *preview) look() {
	stretches, problems := schedule.Stretches(p.Schedules, p.From, p.To, p.Demand)
	p.Stretches = stretches
	for _, x := range problems {
		p.Problems = append(p.Problems, x.String())
	}
	slices.Sort(p.Problems)
}

// span is from local midnight, or a time, over so many local days.
func (f previewFlags) span(loc *time.Location, now time.Time) (from, to time.Time, err error) {
	local := now.In(loc)
	from = time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, loc)
	if f.from != "" {
		if from, err = time.ParseInLocation(time.DateOnly, f.from, loc); err != nil {
			if from, err = time.Parse(time.RFC3339, f.from); err != nil {
				return from, to, fmt.Errorf("--from is %q; give a day such as 2026-12-28, or a time such as 2026-12-28T09:00:00+09:00", f.from)
			}
			from = from.In(loc)
		}
	}
	return from, from.AddDate(0, 0, f.days), nil
}

// schedulesOfFile are those of a file, by namespace and name where these are given, all of one namespace. An error has a
// line for each finding.
func schedulesOfFile(file, namespace string, names []string) ([]v1alpha1.DiurnalSchedule, error) {
	kinds, err := loadKinds()
	if err != nil {
		return nil, err
	}
	documents, err := scheduleDocuments(file)
	if err != nil {
		return nil, err
	}
	var found []v1alpha1.DiurnalSchedule
	var there, elsewhere []string
	var out checkOutput
	for _, d := range documents {
		meta, _ := d.object["metadata"].(map[string]any)
		name, _ := meta["name"].(string)
		if ns, _ := meta["namespace"].(string); namespace != "" && ns != "" && ns != namespace {
			elsewhere = append(elsewhere, ns)
			continue
		}
		there = append(there, name)
		if len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		checkDocument(file, d.node, kinds, &out)
		if len(out.Errors) > 0 {
			continue
		}
		var s v1alpha1.DiurnalSchedule
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(d.object, &s); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, d.node.Line, err)
		}
		found = append(found, s)
	}
	if len(out.Errors) > 0 {
		var lines []string
		for _, f := range out.Errors {
			lines = append(lines, f.String())
		}
		return nil, fmt.Errorf("errors: %d; mend what is named here:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	for _, n := range names {
		if !slices.Contains(there, n) {
			return nil, fmt.Errorf("--name: there is no DiurnalSchedule %q in %s; %s", n, file, among(n, there))
		}
	}
	if len(found) == 0 && len(elsewhere) > 0 {
		return nil, fmt.Errorf("-n: %s holds no DiurnalSchedule of namespace %s; %s", file, namespace, among(namespace, elsewhere))
	}
	for _, s := range found {
		if namespace == "" { // those without one go where the others do
			namespace = s.Namespace
		}
		if s.Namespace != "" && s.Namespace != namespace {
			return nil, fmt.Errorf("%s holds DiurnalSchedules of the namespaces %s and %s, and no Balloon has both; give one of the two with -n", file, namespace, s.Namespace)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s holds no DiurnalSchedule; name a file that does", file)
	}
	return found, nil
}

// scheduleDocument is a DiurnalSchedule in a file.
type scheduleDocument struct {
	node   *yaml.Node
	object map[string]any
}

// scheduleDocuments are the DiurnalSchedules among a file's objects, not checked.
func scheduleDocuments(file string) ([]scheduleDocument, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w; name a file that can be read", err)
	}
	var out []scheduleDocument
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var doc yaml.Node
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %s; mend the YAML", file, lineOf(err), strings.TrimPrefix(err.Error(), "yaml: "))
		}
		if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
			continue
		}
		object, err := toObject(doc.Content[0])
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, doc.Content[0].Line, err)
		}
		if object["kind"] == "DiurnalSchedule" {
			out = append(out, scheduleDocument{doc.Content[0], object})
		}
	}
}

// schedulesOfCluster reads those that are named.
func schedulesOfCluster(cmd *cobra.Command, args []string, f whyFlags) ([]v1alpha1.DiurnalSchedule, error) {
	for _, arg := range args {
		if ns, name, qualified := strings.Cut(arg, "/"); ns == "" || strings.Contains(name, "/") || qualified && name == "" {
			return nil, usageError{fmt.Errorf("%s: %q is not a schedule; give [NAMESPACE/]NAME", cmd.CommandPath(), arg)}
		}
	}
	api, namespace, err := newAPIReader(f)
	if err != nil {
		return nil, err
	}
	if f.namespace != "" {
		namespace = f.namespace
	}
	var out []v1alpha1.DiurnalSchedule
	for _, arg := range args {
		ns, name, qualified := strings.Cut(arg, "/")
		if !qualified {
			ns, name = namespace, arg
		}
		var s v1alpha1.DiurnalSchedule
		all := fmt.Sprintf("/apis/%s/namespaces/%s/diurnalschedules", v1alpha1.GroupVersion, ns)
		err := api.read(cmd.Context(), &s, all+"/"+name, "")
		switch {
		case isBare(err, 404):
			return nil, errors.New("this cluster has no kind DiurnalSchedule: install charts/swell/crds, or give another --context")
		case isMissing(err):
			there, failed := api.names(cmd.Context(), all)
			if failed != nil {
				return nil, fmt.Errorf("there is no DiurnalSchedule %s in namespace %s; give a name that is there", name, ns)
			}
			return nil, fmt.Errorf("there is no DiurnalSchedule %s in namespace %s; %s", name, ns, among(name, there))
		case err != nil:
			return nil, fmt.Errorf("read DiurnalSchedule %s: %w", arg, err)
		}
		out = append(out, s)
	}
	return out, nil
}
