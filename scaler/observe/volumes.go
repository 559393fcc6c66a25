package observe

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/scaler/plan"
)

// Storage are the kinds that pods with claims are placed by, with the resource that a role names them by.
func Storage() map[string]client.Object {
	return map[string]client.Object{
		"persistentvolumeclaims": &corev1.PersistentVolumeClaim{}, "persistentvolumes": &corev1.PersistentVolume{},
		"storageclasses.storage.k8s.io": &storagev1.StorageClass{}, "csinodes.storage.k8s.io": &storagev1.CSINode{},
		"csidrivers.storage.k8s.io": &storagev1.CSIDriver{}, "csistoragecapacities.storage.k8s.io": &storagev1.CSIStorageCapacity{},
		"volumeattachments.storage.k8s.io": &storagev1.VolumeAttachment{},
	}
}

// readVolumes reads the storage objects if a pod has claims. Without one of the kinds no such pod can be judged: then
// none is given, and Unread tells the pods why. It fails only with ctx.
func (w *World) readVolumes(ctx context.Context, c client.Reader) error {
	s := &w.Snapshot
	promised := slices.ContainsFunc(s.Promised, func(p plan.Promised) bool { return claims(p.Pod) })
	if !promised && !slices.ContainsFunc(s.Pods, claims) && !slices.ContainsFunc(s.DaemonPods, claims) {
		return nil
	}
	var pvcs corev1.PersistentVolumeClaimList
	var pvs corev1.PersistentVolumeList
	var classes storagev1.StorageClassList
	var nodes storagev1.CSINodeList
	var drivers storagev1.CSIDriverList
	var attachments storagev1.VolumeAttachmentList
	var capacities storagev1.CSIStorageCapacityList
	var unread []string
	var why error
	for _, l := range []struct {
		resource string
		list     client.ObjectList
	}{
		{"persistentvolumeclaims", &pvcs}, {"persistentvolumes", &pvs}, {"storageclasses.storage.k8s.io", &classes},
		{"csinodes.storage.k8s.io", &nodes}, {"csidrivers.storage.k8s.io", &drivers},
		{"volumeattachments.storage.k8s.io", &attachments}, {"csistoragecapacities.storage.k8s.io", &capacities},
	} {
		err := c.List(ctx, l.list, client.UnsafeDisableDeepCopy)
		if ctx.Err() != nil {
			return fmt.Errorf("reading the cluster's %s: %w", l.resource, ctx.Err())
		}
		if err != nil {
			unread = append(unread, l.resource)
			if why == nil {
				why = err
			}
		}
	}
	if len(unread) > 0 {
		mend := "allow list and watch of " + strings.Join(unread, ", ")
		s.Volumes = plan.Volumes{Unread: "its claims cannot be read: " + mend}
		w.Problems = append(w.Problems, plan.Problem{Object: "storage", What: fmt.Sprintf("pods with claims are placed nowhere: %v", why), Mend: mend})
		return nil
	}
	s.Volumes = plan.Volumes{Claims: each[*corev1.PersistentVolumeClaim](pvcs.Items), Volumes: each[*corev1.PersistentVolume](pvs.Items),
		Classes: each[*storagev1.StorageClass](classes.Items), Nodes: each[*storagev1.CSINode](nodes.Items),
		Drivers: each[*storagev1.CSIDriver](drivers.Items), Attachments: each[*storagev1.VolumeAttachment](attachments.Items),
		Capacities: each[*storagev1.CSIStorageCapacity](capacities.Items)}
	return nil
}

// claims says whether the pod uses a PersistentVolumeClaim, of its own or of its volumes.
func claims(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.PersistentVolumeClaim != nil || v.Ephemeral != nil })
}

// each gives the objects by name, each on its own: a planner keeps some beyond the list that they came in.
func each[P interface {
	*T
	client.Object
}, T any](items []T) []P {
	out := make([]P, 0, len(items))
	for _, x := range items {
		out = append(out, &x)
	}
	slices.SortFunc(out, func(a, b P) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
	})
	return out
}
