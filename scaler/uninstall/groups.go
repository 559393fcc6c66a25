package uninstall

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"swell/api/v1alpha1"
	"swell/nodegroups/aws"
)

// Groups is AWS Auto Scaling.
type Groups interface {
	// Suspensions are the groups with all of the tags whose AZRebalance process is suspended or that swell has marked.
	Suspensions(ctx context.Context, tags map[string]string) ([]aws.Suspended, error)
	// Marked are all groups that swell has marked, but for other clusters'.
	Marked(ctx context.Context) ([]aws.Suspended, error)
	// Resume lets a group's AZRebalance process run again, and takes swell's mark away.
	Resume(ctx context.Context, group string) error
}

// groups are left as another scaler expects them: what swell suspended is resumed, what somebody else did is told of. All
// pools count, for one that observes now or is refused its groups may have used them before, and so do groups of no pool: theirs
// may be deleted by now.
func (r *Remover) groups(ctx context.Context) error {
	if r.Options.KeepSuspended {
		return nil
	}
	list, err := r.Dynamic.Resource(v1alpha1.GroupVersion.WithResource("capacitypools")).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		list, err = &unstructured.UnstructuredList{}, nil // the definitions are gone, what was suspended is not
	}
	if err != nil {
		return fmt.Errorf("listing CapacityPools: %w; see that you may", err)
	}
	told := map[string]bool{}
	for _, p := range list.Items {
		tags, _, err := unstructured.NestedStringMap(p.Object, "spec", "groups", "tags")
		multi, _, _ := unstructured.NestedString(p.Object, "spec", "groups", "multiZone")
		if r.Groups == nil && multi == "SuspendAZRebalance" {
			return fmt.Errorf("CapacityPool %s uses groups that span zones, whose AZRebalance is to be resumed: give --config with swell-scaler's configuration file, or --keep-suspended", p.GetName())
		}
		if err != nil || len(tags) == 0 || r.Groups == nil {
			continue
		}
		found, err := r.Groups.Suspensions(ctx, tags)
		if err == nil {
			err = r.resume(ctx, found, told, "keep AZRebalance suspended, without this cluster's mark")
		}
		if err != nil {
			return err
		}
	}
	if r.Groups == nil {
		if r.Note != "" {
			r.Note += "; "
		}
		r.Note += "groups of deleted pools were not looked for, whose AZRebalance swell may have suspended: give --config with swell-scaler's configuration file"
		return nil
	}
	found, err := r.Groups.Marked(ctx)
	if err != nil {
		return err
	}
	return r.resume(ctx, found, told, "keep AZRebalance suspended, of no pool here and with a mark that names no cluster")
}

// resume lets AZRebalance run again in the groups that are ours, and says why it is kept suspended in others, each once.
func (r *Remover) resume(ctx context.Context, found []aws.Suspended, told map[string]bool, keep string) error {
	for _, g := range found {
		if told[g.Group] {
			continue
		}
		told[g.Group] = true
		if !g.Ours {
			r.done = append(r.done, Done{keep, g.Group})
			continue
		}
		if err := r.do("resume AZRebalance of group", g.Group, func() error { return r.Groups.Resume(ctx, g.Group) }); err != nil {
			return err
		}
	}
	return nil
}

// definitions go last: with a kind go its objects.
func (r *Remover) definitions(ctx context.Context) error {
	if !r.Options.Definitions {
		return nil
	}
	kinds := r.Dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	list, err := kinds.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing CustomResourceDefinitions: %w; see that you may, or leave --crds out", err)
	}
	for _, d := range list.Items {
		if !strings.HasSuffix(d.GetName(), "."+v1alpha1.GroupVersion.Group) {
			continue
		}
		if err := r.do("delete CustomResourceDefinition", d.GetName(), func() error { return kinds.Delete(ctx, d.GetName(), metav1.DeleteOptions{}) }); err != nil {
			return err
		}
	}
	return nil
}
