// Package uninstall takes back what swell-scaler has put into a cluster, and leaves Auto Scaling groups as they are.
package uninstall

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"swell/api/v1alpha1"
	"swell/nodegroups"
	"swell/scaler/byhand"
	"swell/scaler/history"
	"swell/scaler/learned"
	"swell/scaler/ledger"
	"swell/scaler/plan"
)

// IntentsName is the ConfigMap of the launches that are under way.
const IntentsName = "swell-scaler-intents"

// ofOneScaler are the ConfigMaps that mean nothing to a scaler that is installed later.
var ofOneScaler = []string{IntentsName, byhand.Name, "swell-scaler-told", "swell-scaler-guard-rails"}

// Options of Run.
type Options struct {
	// Namespace of swell-scaler and of its checkpoints.
	Namespace string
	// DryRun changes nothing.
	DryRun bool
	// KeepSuspended leaves AZRebalance suspended where swell suspended it.
	KeepSuspended bool
	// Definitions of swell's kinds are deleted too, and with them every object of these kinds.
	Definitions bool
	// Histories are deleted too, and the head of the ledger; without, they stay for a scaler that is installed again.
	Histories bool
}

// Done is one thing that was taken back, or would be.
type Done struct {
	What   string `json:"what"`
	Object string `json:"object"`
}

// ErrRunning says that a scaler still acts.
var ErrRunning = errors.New("swell-scaler still runs")

// Remover takes back.
type Remover struct {
	Kube    kubernetes.Interface
	Dynamic dynamic.Interface
	// Groups may be nil where no pool uses groups that span zones.
	Groups  Groups
	Options Options
	// Running says who acts still, where a dry run found somebody; empty is nobody.
	Running string
	// Note is what is not known: whether a scaler runs, and whether groups of deleted pools stay suspended; empty is nothing.
	Note string
	done []Done
}

// Run takes back, in an order in which a run that is cut short may be run again: launches under way first, then nodes, then
// balloons, then the scaler's own objects. A scaler that runs would make them anew, and is refused.
func (r *Remover) Run(ctx context.Context) ([]Done, error) {
	r.done, r.Running, r.Note = []Done{}, "", ""
	if err := r.stopped(ctx); err != nil {
		return r.done, err
	}
	for _, step := range []func(context.Context) error{r.intents, r.groups, r.nodes, r.buffers, r.balloons, r.maps, r.definitions} {
		if err := step(ctx); err != nil {
			return r.done, err
		}
	}
	return r.done, nil
}

// do notes what is done, and does it unless nothing is to be changed. What is gone already is no error.
func (r *Remover) do(what, object string, act func() error) error {
	if !r.Options.DryRun {
		if err := act(); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s %s: %w; see that you may, and run it again", what, object, err)
		}
	}
	r.done = append(r.done, Done{what, object})
	return nil
}

// stopped is an error while somebody holds the scaler's Lease.
func (r *Remover) stopped(ctx context.Context) error {
	lease, err := r.Kube.CoordinationV1().Leases(r.Options.Namespace).Get(ctx, "swell-scaler", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		r.Note = fmt.Sprintf("there is no Lease %s/swell-scaler, so it is not known whether a scaler still runs: see that none does, and that the namespace is its own", r.Options.Namespace)
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking whether swell-scaler runs: %w; see that you may get Leases in namespace %s", err, r.Options.Namespace)
	}
	s := lease.Spec
	if s.HolderIdentity == nil || *s.HolderIdentity == "" || s.RenewTime == nil || s.LeaseDurationSeconds == nil {
		return nil
	}
	if ends := s.RenewTime.Add(time.Duration(*s.LeaseDurationSeconds) * time.Second); time.Now().After(ends) {
		return nil
	}
	err = fmt.Errorf("%w (%s renewed Lease %s/swell-scaler at %s): scale its Deployment or StatefulSet to 0, or take its release away, and run this again",
		ErrRunning, *s.HolderIdentity, r.Options.Namespace, s.RenewTime.UTC().Format(time.RFC3339))
	if r.Options.DryRun {
		r.Running = err.Error()
		return nil
	}
	return err
}

// intents must be empty: a launch whose outcome is not known may have given instances.
func (r *Remover) intents(ctx context.Context) error {
	maps := r.Kube.CoreV1().ConfigMaps(r.Options.Namespace)
	m, err := maps.Get(ctx, IntentsName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading ConfigMap %s/%s: %w; see that you may get it", r.Options.Namespace, IntentsName, err)
	}
	if open := m.Data["launches"]; open != "" && open != "[]" && open != "null" {
		return fmt.Errorf("launches are under way whose outcome is not known: ConfigMap %s/%s has %s; let swell-scaler run until it is empty, or see in AWS what came of them and delete the ConfigMap",
			r.Options.Namespace, IntentsName, open)
	}
	return nil
}

// nodes are uncordoned where swell cordoned them to be drained. Notices go from them too: a scaler that is installed later would
// act on what is long over.
func (r *Remover) nodes(ctx context.Context) error {
	list, err := r.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing nodes: %w; see that you may", err)
	}
	for _, n := range list.Items {
		if _, noticed := n.Annotations[nodegroups.InterruptionAnnotation]; noticed {
			if err := r.patchNode(ctx, "remove notice of node", n.Name, fmt.Sprintf(`{"metadata":{"annotations":{%q:null}}}`, nodegroups.InterruptionAnnotation)); err != nil {
				return err
			}
		}
		if _, ours := n.Annotations[plan.DrainingAnnotation]; !ours {
			continue
		}
		if err := r.patchNode(ctx, "uncordon node", n.Name, string(plan.Uncordon(&n))); err != nil {
			return err
		}
	}
	return nil
}

func (r *Remover) patchNode(ctx context.Context, what, node, patch string) error {
	return r.do(what, node, func() error {
		_, err := r.Kube.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		return err
	})
}

// outputs are kinds that a Balloon's output CapacityBuffer makes.
var outputs = []schema.GroupVersionResource{
	{Group: "autoscaling.x-k8s.io", Version: "v1beta1", Resource: "capacitybuffers"},
	{Version: "v1", Resource: "podtemplates"},
}

func (r *Remover) buffers(ctx context.Context) error {
	for _, kind := range outputs {
		list, err := r.Dynamic.Resource(kind).List(ctx, metav1.ListOptions{LabelSelector: v1alpha1.BalloonLabel})
		if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
			continue // the cluster has no such kind
		}
		if err != nil {
			return fmt.Errorf("listing %s: %w; see that you may", kind.Resource, err)
		}
		for _, o := range list.Items {
			if err := r.do("delete "+kind.Resource, o.GetNamespace()+"/"+o.GetName(), func() error {
				return r.Dynamic.Resource(kind).Namespace(o.GetNamespace()).Delete(ctx, o.GetName(), metav1.DeleteOptions{})
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// balloons are pods of all namespaces. The Balloons themselves are their owners', and ask for nothing without a scaler.
func (r *Remover) balloons(ctx context.Context) error {
	list, err := r.Kube.CoreV1().Pods("").List(ctx, metav1.ListOptions{LabelSelector: v1alpha1.BalloonLabel})
	if err != nil {
		return fmt.Errorf("listing balloon pods: %w; see that you may", err)
	}
	now := int64(0)
	for _, p := range list.Items {
		if err := r.do("delete balloon pod", p.Namespace+"/"+p.Name, func() error {
			return r.Kube.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
		}); err != nil {
			return err
		}
	}
	return nil
}

// maps are the scaler's own ConfigMaps and its Lease.
func (r *Remover) maps(ctx context.Context) error {
	maps := r.Kube.CoreV1().ConfigMaps(r.Options.Namespace)
	list, err := maps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing ConfigMaps in namespace %s: %w; see that you may", r.Options.Namespace, err)
	}
	for i := range list.Items {
		if m := &list.Items[i]; r.own(m) {
			if err := r.do("delete ConfigMap", m.Namespace+"/"+m.Name, func() error { return maps.Delete(ctx, m.Name, metav1.DeleteOptions{}) }); err != nil {
				return err
			}
		}
	}
	leases := r.Kube.CoordinationV1().Leases(r.Options.Namespace)
	if _, err := leases.Get(ctx, "swell-scaler", metav1.GetOptions{}); err != nil {
		return nil
	}
	return r.do("delete Lease", r.Options.Namespace+"/swell-scaler", func() error { return leases.Delete(ctx, "swell-scaler", metav1.DeleteOptions{}) })
}

// own says whether a ConfigMap goes.
func (r *Remover) own(m *corev1.ConfigMap) bool {
	_, demand := m.Labels[history.HistoryLabel]
	_, known := m.Labels[learned.Label]
	return slices.Contains(ofOneScaler, m.Name) || (demand || known || m.Name == ledger.AnchorName) && r.Options.Histories
}
