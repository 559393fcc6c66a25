package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"swell/scaler/explain"
	"swell/scaler/ledger"
)

// storyFlags say where a story is read and of what time.
type storyFlags struct {
	whyFlags
	ledgers   []string
	at, since string
	atTime    time.Time
	span      time.Duration
}

func (f *storyFlags) register(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVarP(&f.namespace, "namespace", "n", "", "namespace of what is asked about; absent: that of the context")
	fl.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file; absent: as kubectl finds it")
	fl.StringVar(&f.context, "context", "", "context of the kubeconfig; absent: its current one")
	fl.StringArrayVar(&f.ledgers, "ledger", nil, "folder of a ledger, or - for its lines on standard input, as swell-scaler's log has them; may be given again")
	fl.StringVar(&f.at, "at", "", "tell what was known at this time, RFC3339; with --ledger")
	fl.StringVar(&f.since, "since", "", "leave out what is older than this, such as 2h or 7d, before --at or the ledger's end")
	fl.BoolVar(&f.asJSON, "json", false, "print one JSON document")
}

func explainCommand() *cobra.Command {
	var f storyFlags
	c := &cobra.Command{
		Use:   "explain KIND/[NAMESPACE/]NAME",
		Short: "Tell as a timeline what was decided about a pod, node, group, Balloon, pool or consumer",
		Long: `Tell as a timeline what was decided about a pod, node, instance, group, balloon, pool or consumer: each decision with its numbers,
what was rejected, what came of it, and AWS's ids of it. It reads the ledger (--ledger) and, where there is a kubeconfig, the cluster's
status and Events. A name without its kind is looked for, and its kind is said.`,
		Example: `  swell explain pod/shop/web-abc --ledger ledger
  swell explain node/ip-10-0-0-2 --ledger - --since 2h`,
		Args: f.args,
		RunE: func(cmd *cobra.Command, args []string) error { return runStory(cmd, args[0], &f, true) },
	}
	f.register(c)
	return c
}

// args checks what is asked about, and when.
func (f *storyFlags) args(cmd *cobra.Command, args []string) (err error) {
	bad := func(err error) error { return usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)} }
	if len(args) != 1 {
		return bad(errors.New("name one object, such as pod/NAMESPACE/NAME, node/NAME or NAMESPACE/NAME"))
	}
	if f.at != "" {
		if f.atTime, err = time.Parse(time.RFC3339, f.at); err != nil {
			return bad(fmt.Errorf("--at is %q; give a time such as 2026-11-23T08:41:30Z", f.at))
		}
		if len(f.ledgers) == 0 {
			return bad(errors.New("--at is of the past, which the ledger alone knows; give --ledger"))
		}
	}
	if f.since != "" {
		if f.span, err = span(f.since); err != nil {
			return bad(fmt.Errorf("--since is %q; %w", f.since, err))
		}
	}
	return nil
}

// sources are the ledger and the cluster, either of which may be missing.
type sources struct {
	book      *explain.Book
	api       *apiReader
	namespace string // of the context
	notes     []string
}

// open reads the ledger and finds the cluster.
func (f *storyFlags) open(cmd *cobra.Command, arg string) (*sources, error) {
	s := &sources{}
	bad := func(err error) error { return usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)} }
	if len(f.ledgers) > 0 {
		var err error
		if s.book, s.notes, err = f.read(cmd.InOrStdin(), arg); err != nil {
			return nil, bad(err)
		}
	}
	api, namespace, err := newAPIReader(f.whyFlags)
	switch {
	case err != nil && (s.book == nil || f.kubeconfig != "" || f.context != ""):
		return nil, bad(fmt.Errorf("%w; give --kubeconfig and --context of a cluster, or --ledger with the folder of a ledger", err))
	case err != nil:
		s.notes = append(s.notes, "no cluster was asked: there is no kubeconfig")
	case f.at != "":
		s.namespace = namespace
		s.notes = append(s.notes, "the cluster was not asked: what it says is of now, and --at is not")
	default:
		s.api, s.namespace = &api, namespace
	}
	return s, nil
}

// read puts the ledgers together, without what no story of arg has: samples, the sizes of other Balloons, and, for --since, the files
// that end before it.
func (f *storyFlags) read(stdin io.Reader, arg string) (*explain.Book, []string, error) {
	_, name, _ := strings.Cut(arg, "/")
	named := func(balloon string) bool {
		_, short, _ := strings.Cut(balloon, "/")
		return balloon == arg || balloon == name || short == arg || short == name
	}
	seen := map[string]bool{}
	lines := ledger.Reading{Want: func(action, object string) bool {
		if action != "size" {
			return action != "sample"
		}
		first := !seen[object]
		seen[object] = true
		return first || named(object)
	}}
	if !f.atTime.IsZero() {
		lines.To = f.atTime.Add(time.Second)
	}
	if f.span > 0 {
		end := f.atTime
		for _, path := range f.ledgers {
			if info, err := os.Stat(path); err == nil && info.IsDir() && f.atTime.IsZero() {
				of, err := ledger.End(path)
				if err != nil {
					return nil, nil, err
				}
				end = latest(end, of)
			}
		}
		if !end.IsZero() {
			lines.From = end.Add(-f.span)
		}
	}
	book := explain.Begin(explain.Reading{Until: f.atTime, Sizes: named})
	notes, err := readLedger(f.ledgers, stdin, lines, book.Add)
	book.End()
	return book, notes, err
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// named is what an argument may mean: one object with a kind, or the same name of several kinds.
func (f *storyFlags) named(arg string, s *sources) ([]explain.Object, error) {
	o, ok := explain.Parse(arg)
	if !ok {
		return f.plain(arg, s)
	}
	if !explain.Namespaced(o.Kind) {
		return []explain.Object{o}, nil
	}
	namespace, name, found := strings.Cut(o.Name, "/")
	if !found {
		namespace, name = f.namespaceOr(s), o.Name
	}
	if name == "" || namespace == "" || strings.Contains(name, "/") {
		return nil, fmt.Errorf("%q is not %s/NAMESPACE/NAME; give it so", arg, o.Kind)
	}
	if f.namespace != "" && found && f.namespace != namespace {
		return nil, fmt.Errorf("%s is not in namespace %s of -n; give one namespace", arg, f.namespace)
	}
	return []explain.Object{{Kind: o.Kind, Name: namespace + "/" + name}}, nil
}

func (f *storyFlags) namespaceOr(s *sources) string {
	if f.namespace != "" {
		return f.namespace
	}
	if s.namespace != "" {
		return s.namespace
	}
	return "default"
}

// plain looks for a name of which no kind was given.
func (f *storyFlags) plain(arg string, s *sources) ([]explain.Object, error) {
	names := []string{arg}
	if !strings.Contains(arg, "/") {
		names = append(names, f.namespaceOr(s)+"/"+arg)
	}
	var found []explain.Object
	for _, name := range names {
		if s.book != nil {
			found = append(found, s.book.Find(name)...)
		}
		if s.api != nil {
			found = append(found, s.api.find(name)...)
		}
	}
	order := []string{explain.Consumer, explain.Balloon, explain.Pod, explain.Pool, explain.Node, explain.Instance, explain.Group}
	slices.SortStableFunc(found, func(a, b explain.Object) int { return slices.Index(order, a.Kind) - slices.Index(order, b.Kind) })
	found = slices.Compact(found)
	if len(found) == 0 {
		text := fmt.Sprintf("nothing of the name %q is known%s", arg, s.where())
		if s.book != nil {
			text += alike(arg, s.book.All())
		}
		return nil, fmt.Errorf("%s; give its kind, as in pod/NAMESPACE/NAME, node/NAME or group/NAME, and a ledger of the time in which it was there", text)
	}
	return found, nil
}

// where was looked.
func (s *sources) where() string {
	var of []string
	if s.book != nil {
		from, to := s.book.Span()
		of = append(of, fmt.Sprintf("in the ledger from %s to %s", from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339)))
	}
	if s.api != nil {
		of = append(of, "in the cluster")
	}
	if len(of) == 0 {
		return ""
	}
	return " " + strings.Join(of, " or ")
}

// runStory tells the story of one object, at length or in short.
func runStory(cmd *cobra.Command, arg string, f *storyFlags, long bool) error {
	s, err := f.open(cmd, arg)
	if err != nil {
		return err
	}
	objects, err := f.named(arg, s)
	if err != nil {
		if _, ok := explain.Parse(arg); ok {
			return usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)}
		}
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	return tell(cmd, s, objects, f, long)
}

// tell prints the story of the first object, and names the others.
func tell(cmd *cobra.Command, s *sources, objects []explain.Object, f *storyFlags, long bool) error {
	story, err := s.story(cmd.Context(), objects[0])
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	for _, other := range objects[1:] {
		story.Notes = append(story.Notes, fmt.Sprintf("there is also %s/%s", other.Kind, other.Name))
	}
	story.Notes = append(story.Notes, s.notes...)
	if f.span > 0 {
		story.Since(f.end(s).Add(-f.span))
	}
	return printStory(cmd, story, f.asJSON, long)
}

// end is what --since counts from.
func (f *storyFlags) end(s *sources) time.Time {
	if !f.atTime.IsZero() {
		return f.atTime
	}
	if s.book != nil {
		_, to := s.book.Span()
		return to
	}
	return time.Now()
}

// story of one object from all sources.
func (s *sources) story(ctx context.Context, o explain.Object) (*explain.Story, error) {
	var live *liveObject
	if s.api != nil {
		var err error
		if live, err = s.api.live(ctx, o); err != nil {
			if s.book == nil {
				return nil, err
			}
			s.notes = append(s.notes, "the cluster says nothing: "+err.Error())
		}
	}
	story := &explain.Story{Object: o, Answer: []string{}, Events: []explain.Event{}}
	if s.book != nil {
		if live != nil && live.instance != "" {
			s.book.Link(live.node, live.instance)
		}
		story = s.book.Story(o)
	}
	if live != nil {
		story.Answer = append(live.answer, story.Answer...)
		story.Merge(live.events...)
		story.Notes = append(story.Notes, live.notes...)
	}
	if story.Empty() {
		text := fmt.Sprintf("nothing is known of %s%s", o, s.where())
		mend := "give a name that was there, or a ledger of the time in which it was"
		switch {
		case o.Kind == explain.Consumer && s.api == nil:
			mend = "the numbers of consumers are in their status, which swell-metrics writes: give --kubeconfig of the cluster"
		case s.book != nil:
			var there []string
			for _, name := range s.book.Known(o.Kind) {
				there = append(there, o.Kind+"/"+name)
			}
			text += alike(o.Kind+"/"+o.Name, there)
		}
		text += "; " + mend
		return nil, errors.New(text)
	}
	return story, nil
}

// mostAlike are named of an object that is not there.
const mostAlike = 5

// alike are the objects, as KIND/NAME, whose names are spelled most like one: those that begin with it or have it within first.
func alike(name string, there []string) string {
	if len(there) == 0 {
		return "; there is none at all"
	}
	of := func(full string) string { // without what name has not
		for range strings.Count(full, "/") - strings.Count(name, "/") {
			_, full, _ = strings.Cut(full, "/")
		}
		return full
	}
	rank := map[string]int{}
	for _, full := range there {
		known := strings.ToLower(of(full))
		rank[full] = distance(strings.ToLower(name), known[:min(len(known), len(name)+1)])
		if strings.Contains(known, strings.ToLower(name)) {
			rank[full] = 0
		}
	}
	slices.SortFunc(there, func(a, b string) int { return cmp.Or(cmp.Compare(rank[a], rank[b]), cmp.Compare(a, b)) })
	there = slices.Compact(there)
	text := "; most alike are " + strings.Join(there[:min(mostAlike, len(there))], ", ")
	if more := len(there) - mostAlike; more > 0 {
		text += fmt.Sprintf(", of %d", len(there))
	}
	return text
}

// shortStory is the answer of swell why, for scripts.
type shortStory struct {
	explain.Object
	Answer []string       `json:"answer"`
	Last   *explain.Event `json:"lastDecided"`
	Notes  []string       `json:"notes,omitempty"`
}

func printStory(cmd *cobra.Command, s *explain.Story, asJSON, long bool) error {
	w := cmd.OutOrStdout()
	switch {
	case asJSON && long:
		return printJSON(w, s)
	case asJSON:
		return printJSON(w, shortStory{s.Object, s.Answer, s.Newest(), s.Notes})
	}
	text := s.Short()
	if long {
		text = s.Timeline()
	}
	if _, err := fmt.Fprint(w, text); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
