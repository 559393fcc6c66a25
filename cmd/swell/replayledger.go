package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apimachinery/pkg/runtime"

	"swell/api/v1alpha1"
	"swell/scaler/ledger"
	"swell/scaler/policydiff"
	"swell/scaler/schedule"
)

// notWithLedger are the flags of scenarios, which a ledger stands in for.
var notWithLedger = []string{"scenario", "trace", "policy", "sweep"}

// runPolicyDiff says what a change of policy would have cost in the time that a ledger has.
func runPolicyDiff(cmd *cobra.Command, o replayFlags) error {
	bad := func(err error) error { return usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)} }
	for _, f := range notWithLedger {
		if cmd.Flags().Changed(f) {
			return bad(fmt.Errorf("--%s is not used with --from-ledger, which has its own; leave it out", f))
		}
	}
	switch {
	case len(o.ledgers) == 0:
		return bad(errors.New("--policy-diff is missing its ledger; give --from-ledger"))
	case len(o.changes) == 0:
		return bad(errors.New("--policy-diff is missing: give the file with the changed CapacityPools, Balloons or DiurnalSchedules"))
	}
	options := policydiff.Options{Seed: o.seed}
	var err error
	if options.Since, err = span(o.since); err != nil {
		return bad(fmt.Errorf("--since is %q; %w", o.since, err))
	}
	if o.timezone != "" {
		if options.Location, err = timezone(o.timezone); err != nil {
			return bad(err)
		}
	}
	if o.holidays != "" {
		if options.Holiday, err = schedule.Holidays(o.holidays); err != nil {
			return bad(fmt.Errorf("--holidays: %w", err))
		}
	}
	kinds, err := loadKinds()
	if err != nil {
		return bad(err)
	}
	recording := policydiff.Record()
	reading := ledger.Reading{Want: func(action, _ string) bool { return policydiff.Wanted(action) }}
	notes, err := readLedger(o.ledgers, cmd.InOrStdin(), reading, func(e ledger.Entry) {
		fillDefaults(e.Policy, kinds)
		recording.Add(e)
	})
	if err != nil {
		return bad(err)
	}
	changes, more, err := changedPolicies(o.changes, kinds, knownPolicies(recording.Names()))
	if err != nil {
		return bad(err)
	}
	options.Changes = changes
	options.Progress = progress(cmd)
	out, err := policydiff.Compare(recording, options)
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	out.Notes = append(append(out.Notes, notes...), more...)
	if o.asJSON {
		return printJSON(cmd.OutOrStdout(), out)
	}
	if _, err := fmt.Fprint(cmd.OutOrStdout(), out.Markdown()); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// changedPolicies reads the documents of swell's kinds from files, with their defaults. An error has a line for each finding. A
// document without a namespace is of the one in which the ledger has its name.
func changedPolicies(files []string, kinds map[string]*kind, known map[string][]string) (out []policydiff.Document, notes []string, err error) {
	var found checkOutput
	lines := map[string]string{}
	for _, file := range files {
		docs, err := documentsOf(file)
		if err != nil {
			return nil, nil, err
		}
		for _, doc := range docs {
			before := len(found.Errors)
			checkDocument(file, doc, kinds, &found)
			obj, err := toObject(doc)
			kind, _ := obj["kind"].(string)
			apiVersion, _ := obj["apiVersion"].(string)
			if len(found.Errors) > before || err != nil || kinds[apiVersion+"/"+kind] == nil {
				continue
			}
			d, problem := documentOf(obj, kind, kinds[apiVersion+"/"+kind], known)
			at := nodeAt(doc, "metadata").Line
			if first := lines[d.Kind+" "+d.Name]; problem == "" && first != "" {
				problem = fmt.Sprintf("%s %s is there already, in %s; give each once", d.Kind, d.Name, first)
			}
			if problem != "" {
				found.Errors = append(found.Errors, finding{File: file, Line: at, Field: "metadata", What: problem})
				continue
			}
			lines[d.Kind+" "+d.Name] = fmt.Sprintf("%s:%d", file, at)
			if kind == "QueueConsumer" {
				notes = append(notes, fmt.Sprintf("QueueConsumer %s is not played: the demand is as it was recorded", d.Name))
				continue
			}
			out = append(out, d)
		}
	}
	if len(found.Errors) > 0 {
		var all []string
		for _, f := range found.Errors {
			all = append(all, f.String())
		}
		return nil, nil, fmt.Errorf("errors: %d; mend what is named here:\n%s", len(all), strings.Join(all, "\n"))
	}
	if len(out) == 0 {
		return nil, nil, fmt.Errorf("%s: there is no CapacityPool, Balloon or DiurnalSchedule; give a file that has some", strings.Join(files, ", "))
	}
	return out, append(notes, found.Skipped...), nil
}

// documentsOf are the YAML documents of a file.
func documentsOf(file string) ([]*yaml.Node, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w; name a file that can be read", err)
	}
	var out []*yaml.Node
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var doc yaml.Node
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %s; mend the YAML", file, lineOf(err), strings.TrimPrefix(err.Error(), "yaml: "))
		}
		if doc.Kind == yaml.DocumentNode && len(doc.Content) > 0 && doc.Content[0].Tag != "!!null" {
			out = append(out, doc.Content[0])
		}
	}
}

// documentOf is a checked object with its defaults; problem says why its name is not known.
func documentOf(obj map[string]any, kind string, k *kind, known map[string][]string) (d policydiff.Document, problem string) {
	meta, _ := obj["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	namespace, _ := meta["namespace"].(string)
	d.Kind, d.Name = kind, name
	if kind != "CapacityPool" {
		if namespace == "" {
			switch in := known[kind+" "+name]; len(in) {
			case 1:
				namespace = in[0]
			case 0:
				return d, fmt.Sprintf("%s %s has no namespace, and the ledger has none of its name; give metadata.namespace", kind, name)
			default:
				return d, fmt.Sprintf("%s %s has no namespace, and the ledger has it in %s; give metadata.namespace", kind, name, strings.Join(in, ", "))
			}
		}
		d.Name = namespace + "/" + name
	}
	full := runtime.DeepCopyJSON(obj)
	defaulting.Default(full, k.structural)
	raw, err := json.Marshal(full["spec"])
	if err != nil {
		return d, err.Error()
	}
	d.Spec = raw
	return d, ""
}

// fillDefaults gives a recorded spec the defaults of this swell's kinds, so that a field that was added since is no difference.
func fillDefaults(p *ledger.Policy, kinds map[string]*kind) {
	if p == nil {
		return
	}
	k := kinds[v1alpha1.GroupVersion.String()+"/"+p.Kind]
	var spec map[string]any
	if k == nil || json.Unmarshal(p.Spec, &spec) != nil || spec == nil {
		return // of a kind that is not played, or gone
	}
	full := map[string]any{"spec": spec}
	defaulting.Default(full, k.structural)
	if raw, err := json.Marshal(full["spec"]); err == nil {
		p.Spec = raw
	}
}

// knownPolicies are the namespaces in which a ledger has a kind and name.
func knownPolicies(names [][2]string) map[string][]string {
	out := map[string][]string{}
	for _, of := range names {
		namespace, name, found := strings.Cut(of[1], "/")
		if key := of[0] + " " + name; found && !slices.Contains(out[key], namespace) {
			out[key] = append(out[key], namespace)
		}
	}
	return out
}
