package scaler

import (
	"reflect"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/scaler/observe"
)

var storageKinds = func() map[reflect.Type]bool {
	out := map[reflect.Type]bool{}
	for _, x := range observe.Storage() {
		out[reflect.TypeOf(x)] = true
	}
	return out
}()

// storageOf is the kind of a list of storage objects, nil of another list.
func storageOf(list client.ObjectList) client.Object {
	switch list.(type) {
	case *corev1.PersistentVolumeClaimList:
		return &corev1.PersistentVolumeClaim{}
	case *corev1.PersistentVolumeList:
		return &corev1.PersistentVolume{}
	case *storagev1.StorageClassList:
		return &storagev1.StorageClass{}
	case *storagev1.CSINodeList:
		return &storagev1.CSINode{}
	case *storagev1.CSIDriverList:
		return &storagev1.CSIDriver{}
	case *storagev1.CSIStorageCapacityList:
		return &storagev1.CSIStorageCapacity{}
	case *storagev1.VolumeAttachmentList:
		return &storagev1.VolumeAttachment{}
	}
	return nil
}

// kickOn calls kick on what may let a waiting pod have a place; storage that only reports how it is does not.
func kickOn(informer cache.Informer, kick func()) error {
	_, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(x any) {
			if _, attached := x.(*storagev1.VolumeAttachment); !attached {
				kick()
			}
		},
		DeleteFunc: func(any) { kick() },
		UpdateFunc: func(old, current any) {
			if storageMatters(old, current) {
				kick()
			}
		},
	})
	return err
}

func storageMatters(old, current any) bool {
	switch b := current.(type) {
	case *corev1.PersistentVolumeClaim:
		a, ok := old.(*corev1.PersistentVolumeClaim)
		return ok && (a.Spec.VolumeName != b.Spec.VolumeName || a.Status.Phase != b.Status.Phase)
	case *corev1.PersistentVolume:
		a, ok := old.(*corev1.PersistentVolume)
		return ok && (a.Status.Phase != b.Status.Phase || (a.Spec.ClaimRef == nil) != (b.Spec.ClaimRef == nil))
	case *storagev1.StorageClass:
		return true
	case *storagev1.CSINode:
		a, ok := old.(*storagev1.CSINode)
		return ok && len(a.Spec.Drivers) != len(b.Spec.Drivers)
	}
	return false
}
