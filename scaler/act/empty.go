package act

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubectl/pkg/drain"

	"swell/scaler/plan"
)

const (
	// firstLook is the wait before a node that is being emptied is looked at again; it doubles up to lookEvery. Machine time, as it
	// spares the API server: a look is one list of its pods.
	firstLook = 250 * time.Millisecond
	lookEvery = 2 * time.Second
	// retryEviction is the wait after an eviction that a disruption budget refused; machine time.
	retryEviction = 5 * time.Second
	// drainTimeout is how long evictions are tried where a pool does not say; model time.
	drainTimeout = 10 * time.Minute
	// afterGrace is how much longer than its pods' grace a drain takes at least; model time, the grace being machine time.
	afterGrace = time.Minute
	// clockSkew is how far the API server's clock may be from this one.
	clockSkew = 10 * time.Second
	// lookTimeout bounds the calls of one look; machine time.
	lookTimeout = 2 * time.Minute
)

// emptying is a node that is being emptied.
type emptying struct {
	*Actor
	t    plan.Termination
	lost bool
	// node is what the Node was when its drain began.
	node *corev1.Node
	// next is when a pod that was not evicted, or does not end though it was, is tried again; machine time.
	next map[types.UID]time.Time
	// began and ends are when the drain began, and when it is given up; machine time.
	began, ends time.Time
	// claims are those of the pods that were on the node.
	claims map[types.NamespacedName]bool
	// away says that the last look found no Node of the instance, or one whose kubelet is silent.
	away bool
	// told is when the volumes that are waited for were last told of; model time.
	told time.Time

	mu   sync.Mutex
	left []corev1.Pod
}

func (a *Actor) newEmptying(t plan.Termination, lost bool, node *corev1.Node) *emptying {
	now := time.Now()
	return &emptying{Actor: a, t: t, lost: lost, node: node, next: map[types.UID]time.Time{}, claims: map[types.NamespacedName]bool{},
		began: now, ends: now.Add(a.options.Clock.Wait(cmp.Or(t.DrainTimeout, drainTimeout)))}
}

// helper lists and evicts pods as kubectl does.
func (e *emptying) helper(ctx context.Context) *drain.Helper {
	return &drain.Helper{Ctx: ctx, Client: e.drains, GracePeriodSeconds: -1, IgnoreAllDaemonSets: true, DeleteEmptyDirData: true, Force: e.lost, Out: io.Discard, ErrOut: io.Discard}
}

// run evicts until no pod is left that would move. One that was bound while the cordon was on its way goes too. A node that is gone
// is empty, and so is one whose name another instance has by now.
func (e *emptying) run(ctx context.Context) error {
	telling, stop := context.WithCancel(ctx)
	defer stop()
	go e.tell(telling, e.t.Node, e.remaining)
	for wait := firstLook; ; wait = min(2*wait, lookEvery) {
		empty, err := e.look(ctx)
		if err != nil {
			return fmt.Errorf("draining node %s: %w", e.t.Node, err)
		}
		if empty && e.detached(ctx) {
			return nil
		}
		if err := e.late(); err != nil {
			return fmt.Errorf("draining node %s: %w; a PodDisruptionBudget may not allow it yet", e.t.Node, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("draining node %s: %w", e.t.Node, context.Cause(ctx))
		case <-time.After(wait):
		}
	}
}

// look reads what is left on the node and evicts what is due.
func (e *emptying) look(ctx context.Context) (empty bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	n, err := e.drains.CoreV1().Nodes().Get(ctx, e.t.Node, metav1.GetOptions{})
	gone := apierrors.IsNotFound(err) || err == nil && !e.same(n)
	switch {
	case err != nil && !gone:
		return false, fmt.Errorf("%w; let swell-scaler get nodes", err)
	case !gone && n.UID != e.node.UID:
		return false, errors.New("it was registered anew meanwhile, and takes pods; it is cordoned and drained anew")
	}
	if e.away = gone || silent(n); gone {
		return true, nil
	}
	h := e.helper(ctx)
	list, errs := h.GetPodsForDeletion(e.t.Node)
	if len(errs) > 0 {
		return false, fmt.Errorf("%w; pods without a controller stay where they are", errs[0])
	}
	left := list.Pods()
	if e.away {
		left = slices.DeleteFunc(left, func(p corev1.Pod) bool { return past(&p) })
	}
	e.mu.Lock()
	e.left = left
	e.mu.Unlock()
	e.note(left)
	return len(left) == 0, e.evict(h, left)
}

// same says that a Node is still that of the instance which is drained; one that tells no instance is, while it is the same object.
func (e *emptying) same(n *corev1.Node) bool {
	return isOf(n, e.t.InstanceID) && (instanceOf(n) != "" || n.UID == e.node.UID)
}

// silent says that a Node's kubelet, which alone confirms that evicted pods have ended, does not answer or is not well.
func silent(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue
	})
}

// past says that a pod's grace is over; its deletion timestamp is the end of that.
func past(p *corev1.Pod) bool {
	return p.DeletionTimestamp != nil && time.Since(p.DeletionTimestamp.Time) > clockSkew
}

// note keeps what pods that are on the node ask for: time for the longest grace, and volumes elsewhere.
func (e *emptying) note(pods []corev1.Pod) {
	var longest time.Duration
	for _, p := range pods {
		if grace := p.Spec.TerminationGracePeriodSeconds; grace != nil {
			longest = max(longest, time.Duration(*grace)*time.Second)
		}
		for _, claim := range claimsOf(&p) {
			e.claims[claim] = true
		}
	}
	if patience := longest + e.options.Clock.Wait(afterGrace); longest > 0 && e.began.Add(patience).After(e.ends) {
		e.ends = e.began.Add(patience)
		e.noteBegun(e.t.InstanceID, func(b *begun) { b.patience = max(b.patience, patience) })
	}
}

// evict asks for the eviction of each pod that is due, all at once: an admission webhook may be slow.
func (e *emptying) evict(h *drain.Helper, pods []corev1.Pod) error {
	errs := make([]error, len(pods))
	var wg sync.WaitGroup
	for i, p := range pods {
		if p.DeletionTimestamp != nil || time.Now().Before(e.next[p.UID]) {
			continue
		}
		e.next[p.UID] = time.Now().Add(retryEviction)
		wg.Go(func() { errs[i] = e.evictOne(h, p) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// evictOne asks for the eviction of a pod. What may be allowed later is no error.
func (e *emptying) evictOne(h *drain.Helper, p corev1.Pod) error {
	err := h.EvictPod(p, policyv1.SchemeGroupVersion)
	later := apierrors.IsTooManyRequests(err) || apierrors.IsForbidden(err) && apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
	switch {
	case err == nil || apierrors.IsNotFound(err):
		return nil
	case later:
		e.options.Log.Debug("drain", "node", e.t.Node, "pod", p.Namespace+"/"+p.Name, "error", err)
		return nil
	}
	return fmt.Errorf("evicting pod %s/%s: %w", p.Namespace, p.Name, err)
}

// remaining are the pods that the last look has shown.
func (e *emptying) remaining() []corev1.Pod {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.left
}

// late is why the drain is given up now. Pods that only end are waited for: their node is of no more use to them.
func (e *emptying) late() error {
	left := slices.DeleteFunc(slices.Clone(e.remaining()), func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
	if len(left) == 0 || time.Now().Before(e.ends) {
		return nil
	}
	return fmt.Errorf("%d pods are left after its time, first %s/%s", len(left), left[0].Namespace, left[0].Name)
}
