package pack

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/component-helpers/storage/ephemeral"
)

// Volumes are the storage objects that decide where a pod with claims may run.
type Volumes struct {
	Claims  []*corev1.PersistentVolumeClaim
	Volumes []*corev1.PersistentVolume
	Classes []*storagev1.StorageClass
	Nodes   []*storagev1.CSINode
	Drivers []*storagev1.CSIDriver
	// Attachments that exist count against a node's limit.
	Attachments []*storagev1.VolumeAttachment
	// Capacities of drivers that publish them; where a driver does and none is given, nothing can be made.
	Capacities []*storagev1.CSIStorageCapacity
	// Unread is why these are not known, empty where they are. Pods with claims are refused with it.
	Unread string
}

func (v Volumes) equal(w Volumes) bool {
	return slices.Equal(v.Claims, w.Claims) && slices.Equal(v.Volumes, w.Volumes) && slices.Equal(v.Classes, w.Classes) &&
		slices.Equal(v.Nodes, w.Nodes) && slices.Equal(v.Drivers, w.Drivers) && slices.Equal(v.Attachments, w.Attachments) &&
		slices.Equal(v.Capacities, w.Capacities) && v.Unread == w.Unread
}

// keeping is v with w's objects where v has the same in other words: lists of a cache are made anew for every reading.
func (v Volumes) keeping(w Volumes) Volumes {
	v.Claims, v.Volumes, v.Classes = keep(v.Claims, w.Claims), keep(v.Volumes, w.Volumes), keep(v.Classes, w.Classes)
	v.Nodes, v.Drivers = keep(v.Nodes, w.Nodes), keep(v.Drivers, w.Drivers)
	v.Attachments, v.Capacities = keep(v.Attachments, w.Attachments), keep(v.Capacities, w.Capacities)
	return v
}

func keep[P interface {
	comparable
	metav1.Object
}](now, had []P) []P {
	if slices.Equal(now, had) {
		return had
	}
	known := make(map[types.UID]P, len(had))
	for _, x := range had {
		known[x.GetUID()] = x
	}
	out := slices.Clone(now)
	for i, x := range now {
		if k, ok := known[x.GetUID()]; ok && x.GetUID() != "" && x.GetResourceVersion() != "" && x.GetResourceVersion() == k.GetResourceVersion() {
			out[i] = k
		}
	}
	return out
}

// SetVolumes gives the storage objects in place of those before. Objects of one UID and version are one.
func (p *Packer) SetVolumes(v Volumes) error {
	v = v.keeping(p.volumes)
	if p.volumes.equal(v) {
		return nil
	}
	p.volumes = v
	p.claimChanges++
	return p.engine.setVolumes(v)
}

func (e *engine) setVolumes(v Volumes) error {
	e.claims.set(anys(v.Claims))
	e.volumes.set(anys(v.Volumes))
	for k, all := range map[kind][]any{storageClasses: anys(v.Classes), csiNodes: anys(v.Nodes), csiDrivers: anys(v.Drivers),
		csiCapacities: anys(v.Capacities), attachments: anys(v.Attachments)} {
		if err := e.others[k].Replace(all, ""); err != nil {
			return err
		}
	}
	return nil
}

// feed is an informer that is told what there is instead of asking a server.
type feed struct {
	cache.SharedIndexInformer
	handlers []cache.ResourceEventHandler
	have     map[string]any
}

func newFeed(of runtime.Object) *feed {
	return &feed{SharedIndexInformer: cache.NewSharedIndexInformer(&cache.ListWatch{}, of, 0,
		cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}), have: map[string]any{}}
}

func (f *feed) informer(kubernetes.Interface, time.Duration) cache.SharedIndexInformer { return f }

// AddEventHandler keeps the handler; its registration is never asked.
func (f *feed) AddEventHandler(h cache.ResourceEventHandler) (cache.ResourceEventHandlerRegistration, error) {
	f.handlers = append(f.handlers, h)
	return f.SharedIndexInformer.AddEventHandler(h)
}

// set tells of what is new, other or gone. A changed object is told of as gone and new, so that what was assumed of it
// is forgotten whatever its version.
func (f *feed) set(all []any) {
	gone := f.have
	f.have = make(map[string]any, len(all))
	for _, x := range all {
		key, err := cache.MetaNamespaceKeyFunc(x)
		if err != nil {
			continue
		}
		f.have[key] = x
		if gone[key] != x {
			f.drop(gone[key])
			f.add(x)
		}
		delete(gone, key)
	}
	for _, x := range gone {
		f.drop(x)
	}
}

func (f *feed) add(x any) {
	_ = f.GetIndexer().Add(x)
	for _, h := range f.handlers {
		h.OnAdd(x, false)
	}
}

func (f *feed) drop(x any) {
	if x == nil {
		return
	}
	_ = f.GetIndexer().Delete(x)
	for _, h := range f.handlers {
		h.OnDelete(x)
	}
}

// claimsOf are the keys of the claims that a pod uses.
func claimsOf(pod *corev1.Pod) []string {
	var out []string
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		switch {
		case v.PersistentVolumeClaim != nil:
			out = append(out, pod.Namespace+"/"+v.PersistentVolumeClaim.ClaimName)
		case v.Ephemeral != nil:
			out = append(out, pod.Namespace+"/"+ephemeral.VolumeClaimName(pod, v))
		}
	}
	return out
}

// foresee makes up the claims of ephemeral volumes that the controller has not made yet.
func (e *engine) foresee(pod *corev1.Pod) {
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if v.Ephemeral == nil || v.Ephemeral.VolumeClaimTemplate == nil {
			continue
		}
		name, yes := ephemeral.VolumeClaimName(pod, v), true
		key := pod.Namespace + "/" + name
		if e.claims.have[key] != nil {
			continue
		}
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: name, ResourceVersion: "1",
			Labels: v.Ephemeral.VolumeClaimTemplate.Labels, Annotations: v.Ephemeral.VolumeClaimTemplate.Annotations,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID, Controller: &yes}}},
			Spec: v.Ephemeral.VolumeClaimTemplate.Spec}
		e.claims.have[key] = claim
		e.claims.add(claim)
	}
}
