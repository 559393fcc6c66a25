package observe

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// storage is an API server with two claims, and a role that may leave CSINodes out.
type storage struct {
	client.Reader
	forbidden bool
	asked     int
}

func (s *storage) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	s.asked++
	switch l := list.(type) {
	case *corev1.PersistentVolumeClaimList:
		l.Items = []corev1.PersistentVolumeClaim{{ObjectMeta: meta("b")}, {ObjectMeta: meta("a")}}
	case *storagev1.CSINodeList:
		if s.forbidden {
			return apierrors.NewForbidden(schema.GroupResource{Group: "storage.k8s.io", Resource: "csinodes"}, "", nil)
		}
	}
	return nil
}

func TestStorageIsReadWhereAPodHasClaims(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: meta("db"), Spec: corev1.PodSpec{Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}}}}}
	for name, c := range map[string]struct {
		pods      []*corev1.Pod
		forbidden bool
		asks      bool
		claims    int
		unread    string
	}{
		"no claims":           {[]*corev1.Pod{{ObjectMeta: meta("web")}}, true, false, 0, ""},
		"claims":              {[]*corev1.Pod{pod}, false, true, 2, ""},
		"claims and no right": {[]*corev1.Pod{pod}, true, true, 0, "its claims cannot be read: allow list and watch of csinodes.storage.k8s.io"},
	} {
		w, api := World{}, &storage{forbidden: c.forbidden}
		w.Snapshot.Pods = c.pods
		if err := w.readVolumes(t.Context(), api); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		v := w.Snapshot.Volumes
		if len(v.Claims) != c.claims || v.Unread != c.unread || (api.asked > 0) != c.asks || (len(w.Problems) > 0) != (c.unread != "") {
			t.Errorf("%s: %d claims, unread %q, %d lists, problems %v", name, len(v.Claims), v.Unread, api.asked, w.Problems)
		}
		if c.claims == 2 && v.Claims[0].Name != "a" {
			t.Errorf("%s: claims are not sorted: %s comes first", name, v.Claims[0].Name)
		}
		if len(w.Problems) > 0 && !strings.Contains(w.Problems[0].What, "forbidden") {
			t.Errorf("%s: %s", name, w.Problems[0].What)
		}
	}
}
