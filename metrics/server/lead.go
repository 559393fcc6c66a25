package server

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"swell/api/config"
)

// lead runs work while this replica holds the lease. Losing it stops the work alone: the metrics are served
// by every replica.
func lead(ctx context.Context, lease config.Lease, restConfig *rest.Config, log *slog.Logger, work func(context.Context)) error {
	client, err := kubernetes.NewForConfig(rest.AddUserAgent(restConfig, "leader-election"))
	if err != nil {
		return fmt.Errorf("reach the Kubernetes API for the lease: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("name this replica: %w", err)
	}
	identity := host + "_" + string(uuid.NewUUID())
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: lease.Namespace, Name: lease.Name},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
		},
		Name: lease.Name, ReleaseOnCancel: true,
		LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) {
				log.Info("writing statuses", "lease", lease.Namespace+"/"+lease.Name, "identity", identity)
				work(ctx)
			},
			OnStoppedLeading: func() {
				if ctx.Err() == nil {
					log.Warn("lost the lease for statuses", "lease", lease.Namespace+"/"+lease.Name)
				}
			},
		},
	})
	if err != nil {
		return fmt.Errorf("set up the lease %s/%s: %w: check lease in swell-metrics' configuration", lease.Namespace, lease.Name, err)
	}
	for ctx.Err() == nil {
		elector.Run(ctx)
	}
	return nil
}
