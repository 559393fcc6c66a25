package act

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/scaler/ledger"
)

// claimsOf are the PersistentVolumeClaims of a pod.
func claimsOf(p *corev1.Pod) []types.NamespacedName {
	var out []types.NamespacedName
	for _, v := range p.Spec.Volumes {
		switch {
		case v.PersistentVolumeClaim != nil:
			out = append(out, types.NamespacedName{Namespace: p.Namespace, Name: v.PersistentVolumeClaim.ClaimName})
		case v.Ephemeral != nil: // its claim is named so by Kubernetes
			out = append(out, types.NamespacedName{Namespace: p.Namespace, Name: p.Name + "-" + v.Name})
		}
	}
	return out
}

// detached says that no volume of the pods that were on the node is waited for: one that is attached when its instance ends is
// detached by force six minutes later, and its pod waits for it elsewhere. The wait is the drain's, and none where the instance
// goes by itself or its kubelet is silent: then its end is what frees the volumes.
func (e *emptying) detached(ctx context.Context) bool {
	if len(e.claims) == 0 || e.client == nil || e.away || !time.Now().Before(e.ends) || e.goes(e.t.InstanceID) {
		return true
	}
	attached, err := e.attached(ctx)
	if err != nil {
		e.options.Log.Warn("drain", "node", e.t.Node, "error", err)
	}
	if err != nil || len(attached) == 0 {
		return true
	}
	if now := e.options.Clock.Now(); now.Sub(e.told) >= progressEvery {
		e.told = now
		what := fmt.Sprintf("its pods are gone, and %d of their volumes are still attached: %s", len(attached), strings.Join(attached, ", "))
		e.record(0, ledger.Entry{Phase: ledger.Note, Action: "drain", Object: e.t.Node, Count: len(attached), Reason: what})
		e.options.Log.Info("drain", "node", e.t.Node, "waits", what)
	}
	return false
}

// attached are the volumes of the pods that were on the node that are attached to it, sorted.
func (e *emptying) attached(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	volumes := map[string]bool{}
	for name := range e.claims {
		var claim corev1.PersistentVolumeClaim
		if err := e.client.Get(ctx, name, &claim); client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading claim %s: %w; let swell-scaler list and watch persistentvolumeclaims", name, err)
		}
		volumes[claim.Spec.VolumeName] = true
	}
	var all storagev1.VolumeAttachmentList
	if err := e.client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("reading the volumes that are attached: %w; let swell-scaler list and watch volumeattachments", err)
	}
	var out []string
	for _, x := range all.Items {
		if name := x.Spec.Source.PersistentVolumeName; x.Spec.NodeName == e.t.Node && name != nil && volumes[*name] {
			out = append(out, *name)
		}
	}
	slices.Sort(out)
	return out, nil
}
