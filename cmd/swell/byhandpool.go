package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"swell/api/v1alpha1"
)

// knownPool is an error for a pool that is not there: what is asked of it would be kept and never followed.
func knownPool(ctx context.Context, f clusterFlags, name string) (*v1alpha1.CapacityPool, error) {
	api, _, err := newAPIReader(whyFlags{kubeconfig: f.kubeconfig, context: f.context})
	if err != nil {
		return nil, err
	}
	all := "/apis/" + v1alpha1.GroupVersion.String() + "/capacitypools"
	var pool v1alpha1.CapacityPool
	err = api.read(ctx, &pool, all+"/"+name, "")
	if isMissing(err) {
		err = fmt.Errorf("there is no CapacityPool %s", name)
		if there, failed := api.names(ctx, all); failed == nil && len(there) > 0 {
			return nil, fmt.Errorf("%w; %s", err, among(name, there))
		}
		return nil, fmt.Errorf("%w, and no other; apply one first", err)
	}
	if err != nil {
		return nil, fmt.Errorf("read CapacityPool %s: %w", name, err)
	}
	return &pool, nil
}

// holdable is an error for a zone that the pool has no group in, and notes why a hold there may launch nothing.
func holdable(pool *v1alpha1.CapacityPool, zone string) ([]string, error) {
	var zones []string
	for _, z := range pool.Status.Zones {
		zones = append(zones, z.Zone)
	}
	slices.Sort(zones)
	if len(zones) > 0 && !slices.Contains(zones, zone) {
		return nil, fmt.Errorf("pool %s has no group in %s; its zones are %s", pool.Name, zone, strings.Join(zones, ", "))
	}
	if c := meta.FindStatusCondition(pool.Status.Conditions, "Enforcing"); c != nil && c.Status == metav1.ConditionFalse {
		return []string{fmt.Sprintf("pool %s launches nothing for the hold: %s", pool.Name, c.Message)}, nil
	}
	return nil, nil
}

// followed says why no scaler may read what was asked for; empty where one holds the Lease, and where that cannot be told.
func followed(ctx context.Context, kube kubernetes.Interface, namespace string) string {
	const name = "swell-scaler"
	lease, err := kube.CoordinationV1().Leases(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Sprintf("there is no Lease %s/%s, so it is not known whether swell-scaler runs and reads this; see that --scaler-namespace is its own", namespace, name)
	case err != nil || lease.Spec.RenewTime == nil || lease.Spec.LeaseDurationSeconds == nil:
		return ""
	}
	if ends := lease.Spec.RenewTime.Add(time.Duration(*lease.Spec.LeaseDurationSeconds) * time.Second); time.Now().After(ends) {
		return fmt.Sprintf("no swell-scaler has renewed Lease %s/%s since %s; this takes effect when one runs", namespace, name, lease.Spec.RenewTime.UTC().Format(time.RFC3339))
	}
	return ""
}
