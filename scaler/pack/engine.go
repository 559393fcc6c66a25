package pack

import (
	"context"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
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
	claims     *feed
	volumes    *feed
	others     map[kind]cache.Indexer
	view       *view
}

// kind of storage object that the plugins read from an indexer alone.
type kind int

const (
	storageClasses kind = iota
	csiNodes
	csiDrivers
	csiCapacities
	attachments
)

// view is what the plugins see of the packer that uses the engine now.
type view struct {
	packer *Packer
	// listed are the nodes that PreFilter counts pods on.
	listed []fwk.NodeInfo
}

var (
	registerMetrics sync.Once
	engines         sync.Pool
)

// borrowEngine gives an engine that sees p.
func borrowEngine(p *Packer) (*engine, error) {
	e, _ := engines.Get().(*engine)
	if e == nil {
		var err error
		if e, err = newEngine(nil); err != nil {
			return nil, err
		}
	}
	e.view.packer = p
	return e, nil
}

func (e *engine) giveBack() {
	e.view.packer, e.view.listed = nil, nil
	_ = e.setNamespaces(nil)
	_ = e.setVolumes(Volumes{})
	engines.Put(e)
}

// outside are the plugins of the default profile that are not run: dynamic resources need a tracker of claims and
// slices, and pods that use them are refused by refusal; topology spread is kept by spread.
var outside = []string{names.DynamicResources, names.PodTopologySpread}

// newEngine makes the default profile; with names the plugins that are left out, nil is outside.
func newEngine(without []string) (*engine, error) {
	if without == nil {
		without = outside
	}
	// The framework observes into these metrics and fails on nil ones.
	registerMetrics.Do(metrics.Register)
	cfg, err := latest.Default()
	if err != nil {
		return nil, fmt.Errorf("reading the scheduler's default profile: %w", err)
	}
	profile := &cfg.Profiles[0]
	profile.Plugins.MultiPoint.Enabled = slices.DeleteFunc(profile.Plugins.MultiPoint.Enabled,
		func(p config.Plugin) bool { return slices.Contains(without, p.Name) })
	factory := informers.NewSharedInformerFactory(nil, 0)
	e := &engine{view: &view{}, claims: newFeed(&corev1.PersistentVolumeClaim{}), volumes: newFeed(&corev1.PersistentVolume{})}
	// The volume binder keeps what it assumes in caches that live on events, so it is given informers that have some.
	factory.InformerFor(&corev1.PersistentVolumeClaim{}, e.claims.informer)
	factory.InformerFor(&corev1.PersistentVolume{}, e.volumes.informer)
	e.namespaces = factory.Core().V1().Namespaces().Informer().GetIndexer()
	storage := factory.Storage().V1()
	e.others = map[kind]cache.Indexer{storageClasses: storage.StorageClasses().Informer().GetIndexer(),
		csiNodes: storage.CSINodes().Informer().GetIndexer(), csiDrivers: storage.CSIDrivers().Informer().GetIndexer(),
		csiCapacities: storage.CSIStorageCapacities().Informer().GetIndexer(),
		attachments:   storage.VolumeAttachments().Informer().GetIndexer()}
	// The context only keeps a recorder of metrics alive that is never written to.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	e.framework, err = frameworkruntime.NewFramework(ctx, plugins.NewInTreeRegistry(), profile,
		frameworkruntime.WithInformerFactory(factory),
		frameworkruntime.WithSnapshotSharedLister(e.view),
		frameworkruntime.WithSharedCSIManager(e.view),
		frameworkruntime.WithParallelism(1))
	if err != nil {
		return nil, fmt.Errorf("making the scheduler's default profile: %w", err)
	}
	return e, nil
}

func (e *engine) setNamespaces(all []*corev1.Namespace) error {
	if err := e.namespaces.Replace(anys(all), ""); err != nil {
		return fmt.Errorf("giving the scheduler's plugins the namespaces: %w", err)
	}
	return nil
}

func anys[T any](all []T) []any {
	out := make([]any, len(all))
	for i, x := range all {
		out[i] = x
	}
	return out
}

func (v *view) NodeInfos() fwk.NodeInfoLister           { return v }
func (v *view) StorageInfos() fwk.StorageInfoLister     { return v }
func (v *view) PodGroupStates() fwk.PodGroupStateLister { return podGroups{} }
func (v *view) CSINodes() fwk.CSINodeLister             { return csiLister{v} }

func (v *view) IsPVCUsedByPods(key string) bool { return v.packer.claimUse[key] > 0 }

func (v *view) List() ([]fwk.NodeInfo, error) {
	if v.listed != nil {
		return v.listed, nil
	}
	return v.packer.infos, nil
}

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

// csiLister gives the CSINodes of real nodes, and those that nodes to come are taken to have.
type csiLister struct{ view *view }

func (l csiLister) List() ([]*storagev1.CSINode, error) {
	var out []*storagev1.CSINode
	for _, n := range l.view.packer.nodes {
		if c, err := l.Get(n.Name); err == nil {
			out = append(out, c)
		}
	}
	return out, nil
}

func (l csiLister) Get(name string) (*storagev1.CSINode, error) {
	p := l.view.packer
	if n := p.byName[name]; n != nil && n.csi != nil {
		return n.csi, nil
	}
	found, exists, err := p.engine.others[csiNodes].GetByKey(name)
	if c, ok := found.(*storagev1.CSINode); err == nil && exists && ok {
		return c, nil
	}
	return nil, fmt.Errorf("looking up CSINode %q: it is not in the snapshot", name)
}

type podGroups struct{}

func (podGroups) Get(namespace, name string) (fwk.PodGroupState, error) {
	return nil, fmt.Errorf("looking up pod group %s/%s: groups are not part of the snapshot", namespace, name)
}
