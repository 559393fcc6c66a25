package pack

import (
	"context"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
)

// engine is one instance of the scheduler's default profile. Making one is dear, so engines are used again.
type engine struct {
	framework  framework.Framework
	namespaces cache.Indexer
	view       *view
}

// view is what the plugins see of the packer that uses the engine now.
type view struct{ packer *Packer }

var (
	registerMetrics sync.Once
	engines         sync.Pool
)

// borrowEngine gives an engine that sees p and its namespaces.
func borrowEngine(p *Packer, namespaces []*corev1.Namespace) (*engine, error) {
	e, _ := engines.Get().(*engine)
	if e == nil {
		var err error
		if e, err = newEngine(); err != nil {
			return nil, err
		}
	}
	e.view.packer = p
	items := make([]any, len(namespaces))
	for i, n := range namespaces {
		items[i] = n
	}
	if err := e.namespaces.Replace(items, ""); err != nil {
		return nil, fmt.Errorf("giving the scheduler's plugins the namespaces: %w", err)
	}
	return e, nil
}

func (e *engine) giveBack() {
	e.view.packer = nil
	engines.Put(e)
}

func newEngine() (*engine, error) {
	// The framework observes into these metrics and fails on nil ones.
	registerMetrics.Do(metrics.Register)
	cfg, err := latest.Default()
	if err != nil {
		return nil, fmt.Errorf("reading the scheduler's default profile: %w", err)
	}
	profile := &cfg.Profiles[0]
	// Claims and slices need a tracker of their own; pods that use them are refused by Refusal.
	profile.Plugins.MultiPoint.Enabled = slices.DeleteFunc(profile.Plugins.MultiPoint.Enabled,
		func(p config.Plugin) bool { return p.Name == names.DynamicResources })
	factory := informers.NewSharedInformerFactory(nil, 0)
	e := &engine{view: &view{}, namespaces: factory.Core().V1().Namespaces().Informer().GetIndexer()}
	// The context only keeps a recorder of metrics alive that is never written to.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	e.framework, err = frameworkruntime.NewFramework(ctx, plugins.NewInTreeRegistry(), profile,
		frameworkruntime.WithInformerFactory(factory),
		frameworkruntime.WithSnapshotSharedLister(e.view),
		frameworkruntime.WithParallelism(1))
	if err != nil {
		return nil, fmt.Errorf("making the scheduler's default profile: %w", err)
	}
	return e, nil
}

func (v *view) NodeInfos() fwk.NodeInfoLister           { return v }
func (v *view) StorageInfos() fwk.StorageInfoLister     { return v }
func (v *view) PodGroupStates() fwk.PodGroupStateLister { return podGroups{} }

// IsPVCUsedByPods is never asked: pods with claims are refused.
func (v *view) IsPVCUsedByPods(string) bool { return false }

func (v *view) List() ([]fwk.NodeInfo, error) { return v.packer.infos, nil }

func (v *view) HavePodsWithAffinityList() ([]fwk.NodeInfo, error) {
	return v.having(func(n fwk.NodeInfo) bool { return len(n.GetPodsWithAffinity()) > 0 }), nil
}

func (v *view) HavePodsWithRequiredAntiAffinityList() ([]fwk.NodeInfo, error) {
	return v.having(func(n fwk.NodeInfo) bool { return len(n.GetPodsWithRequiredAntiAffinity()) > 0 }), nil
}

func (v *view) Get(name string) (fwk.NodeInfo, error) {
	if n := v.packer.byName[name]; n != nil {
		return n.info, nil
	}
	return nil, fmt.Errorf("looking up node %q: it is not in the snapshot", name)
}

func (v *view) having(has func(fwk.NodeInfo) bool) []fwk.NodeInfo {
	var out []fwk.NodeInfo
	for _, n := range v.packer.infos {
		if has(n) {
			out = append(out, n)
		}
	}
	return out
}

type podGroups struct{}

func (podGroups) Get(namespace, name string) (fwk.PodGroupState, error) {
	return nil, fmt.Errorf("looking up pod group %s/%s: groups are not part of the snapshot", namespace, name)
}

// namespacesOf makes up the namespaces that were not given, with the one label that every namespace has.
func namespacesOf(given []*corev1.Namespace, seen map[string]bool) []*corev1.Namespace {
	out := slices.Clone(given)
	for _, n := range given {
		delete(seen, n.Name)
	}
	for name := range seen {
		out = append(out, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name,
			Labels: map[string]string{corev1.LabelMetadataName: name}}})
	}
	return out
}
