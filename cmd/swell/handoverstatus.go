package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"swell/api/v1alpha1"
	"swell/scaler/handover"
	"swell/scaler/history"
)

// side is one cluster's part of an application.
type side struct {
	Present bool `json:"present"`
	// Share that the cluster is to be ready for, 0 to 1; null is unknown.
	Share *float64 `json:"share"`
	// Ready are the workload's pods that are ready; null is unknown.
	Ready *int32 `json:"readyPods"`
	// Balloons are wanted, Running have a place on nodes that are up.
	Balloons int32 `json:"balloons"`
	Running  int32 `json:"balloonsRunning"`
	// HistoryRows of five minutes that are known.
	HistoryRows int `json:"historyRows"`
	// Queue says that a QueueConsumer of the same workload is there.
	Queue  bool `json:"queueConsumer"`
	shares []history.SharePart
}

// application is one Balloon's workload on its way.
type application struct {
	Namespace string `json:"namespace"`
	Balloon   string `json:"balloon"`
	Old       side   `json:"old"`
	New       side   `json:"new"`
	handover.Progress
	// Next is what to do about it.
	Next string `json:"next"`
}

type statusFlags struct {
	clusterFlags
	old, young, checkpoints, deadline string
}

func handoverStatusCommand() *cobra.Command {
	var f statusFlags
	c := &cobra.Command{
		Use:   "status --old-context A --new-context B",
		Short: "Say of each application how far it has moved, and who is behind for a deadline",
		Long: `Say of each application, that is of each Balloon of either cluster, how far it has moved, and who is behind for a deadline.

States: "not begun" (no traffic was seen in the new cluster), "on time" and "behind" (it arrives before or after the deadline at
the pace since its first share there, or the deadline is over), "done" (the new cluster is ready for all of it), "unknown".
Both contexts are of one kubeconfig, or of several in KUBECONFIG.`,
		Example: "  swell handover status --old-context blue --new-context green --deadline 2026-12-20",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.old == "" || f.young == "" || f.old == f.young {
				return usageError{fmt.Errorf("%s: give --old-context and --new-context, two contexts of the kubeconfig", cmd.CommandPath())}
			}
			return f.run(cmd)
		},
	}
	f.register(c)
	c.Flags().StringVar(&f.old, "old-context", "", "context of the cluster that is left (required)")
	c.Flags().StringVar(&f.young, "new-context", "", "context of the cluster that follows (required)")
	c.Flags().StringVar(&f.checkpoints, "checkpoints", "swell-system", "namespace that swell-scaler keeps histories in, in both clusters")
	c.Flags().StringVar(&f.deadline, "deadline", "", "when all are to have moved: 2026-12-20, the end of that day here, or a time such as 2026-12-20T18:00:00+09:00")
	_ = c.Flags().MarkHidden("context")
	_ = c.Flags().MarkHidden("scaler-namespace")
	return c
}

func (f statusFlags) end() (time.Time, error) {
	if f.deadline == "" {
		return time.Time{}, nil
	}
	if day, err := time.ParseInLocation(time.DateOnly, f.deadline, time.Local); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	t, err := time.Parse(time.RFC3339, f.deadline)
	if err != nil {
		return t, fmt.Errorf("--deadline is %q; give a day such as 2026-12-20, or a time such as 2026-12-20T18:00:00+09:00", f.deadline)
	}
	return t, nil
}

func (f statusFlags) run(cmd *cobra.Command) error {
	deadline, err := f.end()
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)}
	}
	old, err := f.sides(cmd, f.old)
	if err != nil {
		return err
	}
	young, err := f.sides(cmd, f.young)
	if err != nil {
		return err
	}
	now := time.Now()
	apps := []application{}
	for key := range merged(old, young) {
		a := application{Old: old[key], New: young[key]}
		a.Namespace, a.Balloon, _ = strings.Cut(key, "/")
		share := 0.0
		if a.New.Present {
			share = math.NaN()
			if a.New.Share != nil {
				share = *a.New.Share
			}
		}
		a.Progress = handover.Judge(now, deadline, share, a.New.shares)
		a.Next = a.next()
		apps = append(apps, a)
	}
	slices.SortFunc(apps, func(a, b application) int {
		return cmp.Or(cmp.Compare(a.State.Rank(), b.State.Rank()), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Balloon, b.Balloon))
	})
	if f.asJSON {
		out := struct {
			Deadline     *time.Time    `json:"deadline"`
			Applications []application `json:"applications"`
		}{nil, apps}
		if !deadline.IsZero() {
			out.Deadline = &deadline
		}
		return printJSON(cmd.OutOrStdout(), out)
	}
	return printApplications(cmd.OutOrStdout(), apps, deadline)
}

func merged(a, b map[string]side) map[string]bool {
	all := map[string]bool{}
	for _, m := range []map[string]side{a, b} {
		for k := range m {
			all[k] = true
		}
	}
	return all
}

func percent(share float64) string { return fmt.Sprintf("%.4g%%", 100*share) }

// next is the first thing that keeps an application from moving on.
func (a application) next() string {
	of := a.Namespace + "/" + a.Balloon
	switch {
	case a.State == handover.Done && a.Old.Present && (a.Old.Ready == nil || *a.Old.Ready > 0):
		return "move what is left of the traffic, then take its workload and Balloon from the old cluster"
	case a.State == handover.Done:
		return ""
	case a.Old.HistoryRows > 0 && a.New.HistoryRows == 0:
		return "swell handover export and import: the new cluster has no history of it"
	case !a.New.Present:
		return "apply Balloon " + of + " in the new cluster with the share that comes first, such as share: 10%"
	case a.New.Share == nil:
		return "correct spec.share of Balloon " + of + " in the new cluster"
	case a.Old.Queue && !a.New.Queue:
		return "apply its QueueConsumer in the new cluster"
	case a.Old.Present && a.Old.Share != nil && *a.Old.Share+*a.New.Share < 1-1e-9:
		return fmt.Sprintf("raise spec.share in one: %s and %s leave %s of the demand without room in either", percent(*a.Old.Share), percent(*a.New.Share), percent(1-*a.Old.Share-*a.New.Share))
	case a.New.Balloons == 0 && a.Begun == nil && *a.New.Share > 0:
		return "wait until the new cluster wants balloons; if it stays without, see the conditions of Balloon " + of + " there"
	case a.New.Running < a.New.Balloons:
		return fmt.Sprintf("wait: %d of %d balloons have a place in the new cluster", a.New.Running, a.New.Balloons)
	}
	if a.Begun == nil && *a.New.Share > 0 {
		return fmt.Sprintf("move %s of the traffic: the new cluster has the room", percent(*a.New.Share))
	}
	return "raise spec.share in the new cluster, wait for its balloons, then move the traffic"
}

// sides are a cluster's parts, by the Balloon's namespace/name.
func (f statusFlags) sides(cmd *cobra.Command, in string) (map[string]side, error) {
	fail := func(err error) (map[string]side, error) {
		return nil, fmt.Errorf("%s: context %s: %w", cmd.CommandPath(), in, err)
	}
	ctx := cmd.Context()
	kube, err := f.connect(cmd.CommandPath(), in)
	if err != nil {
		return nil, err
	}
	api, _, err := newAPIReader(whyFlags{kubeconfig: f.kubeconfig, context: in})
	if err != nil {
		return fail(err)
	}
	balloons, err := listBalloons(ctx, f.kubeconfig, in)
	if err != nil {
		return fail(err)
	}
	histories, err := history.Checkpoints{Kube: kube, Namespace: f.checkpoints}.All(ctx)
	if err != nil {
		return fail(err)
	}
	var consumers v1alpha1.QueueConsumerList
	if err := api.read(ctx, &consumers, "/apis/"+v1alpha1.GroupVersion.String()+"/queueconsumers", ""); err != nil {
		return fail(err)
	}
	out := map[string]side{}
	for key, p := range histories {
		s := side{shares: p.Record.Shares()}
		coarse, _ := p.Record.Coarse()
		for _, v := range coarse.Values {
			if !math.IsNaN(v) {
				s.HistoryRows++
			}
		}
		out[key] = s
	}
	for i := range balloons {
		b := &balloons[i]
		s := out[b.Namespace+"/"+b.Name]
		s.Present, s.Ready = true, api.readyPods(ctx, b)
		if v, err := strconv.ParseFloat(strings.TrimSuffix(string(b.Spec.Share), "%"), 64); err == nil {
			v /= 100
			s.Share = &v
		}
		for _, z := range b.Status.Zones {
			s.Balloons, s.Running = s.Balloons+z.Balloons, s.Running+z.Running
		}
		s.Queue = slices.ContainsFunc(consumers.Items, func(q v1alpha1.QueueConsumer) bool {
			return q.Namespace == b.Namespace && q.Spec.ScaleTargetRef == b.Spec.ScaleTargetRef
		})
		out[b.Namespace+"/"+b.Name] = s
	}
	return out, nil
}

// readyPods of a Balloon's workload; nil where its kind does not tell.
func (r apiReader) readyPods(ctx context.Context, b *v1alpha1.Balloon) *int32 {
	t := b.Spec.ScaleTargetRef
	var got struct {
		Status *struct {
			ReadyReplicas int32 `json:"readyReplicas"`
		} `json:"status"`
	}
	path := fmt.Sprintf("/apis/%s/namespaces/%s/%ss/%s", t.APIVersion, b.Namespace, strings.ToLower(t.Kind), t.Name)
	if err := r.read(ctx, &got, path, ""); err != nil || got.Status == nil {
		if isMissing(err) {
			return new(int32)
		}
		return nil
	}
	return &got.Status.ReadyReplicas
}

func printApplications(w io.Writer, apps []application, deadline time.Time) error {
	count := map[handover.State]int{}
	for _, a := range apps {
		count[a.State]++
	}
	fmt.Fprintf(w, "%d of %d applications have moved", count[handover.Done], len(apps))
	if !deadline.IsZero() {
		fmt.Fprintf(w, "; for the deadline %s %d are behind, %d have not begun", deadline.Format(time.RFC3339), count[handover.Behind], count[handover.NotBegun])
	}
	fmt.Fprint(w, ".\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "APPLICATION\tSTATE\tOLD\tNEW\tPODS OLD/NEW\tBALLOONS NEW\tHISTORY OLD/NEW\tARRIVES\tNEXT")
	pods := func(s side) string {
		switch {
		case !s.Present:
			return "-"
		case s.Ready == nil:
			return "?"
		}
		return fmt.Sprint(*s.Ready)
	}
	share := func(s side) string {
		switch {
		case !s.Present:
			return "-"
		case s.Share == nil:
			return "?"
		}
		return percent(*s.Share)
	}
	days := func(s side) string {
		return fmt.Sprintf("%.1f d", float64(s.HistoryRows)*history.CoarseStep.Hours()/24)
	}
	for _, a := range apps {
		arrives := "-"
		if a.Finish != nil {
			arrives = a.Finish.Format(time.DateOnly)
		}
		fmt.Fprintf(t, "%s/%s\t%s\t%s\t%s\t%s/%s\t%d/%d\t%s/%s\t%s\t%s\n", a.Namespace, a.Balloon, a.State, share(a.Old), share(a.New),
			pods(a.Old), pods(a.New), a.New.Running, a.New.Balloons, days(a.Old), days(a.New), arrives, a.Next)
	}
	return t.Flush()
}
