package consumers

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"swell/api/v1alpha1"
	"swell/metrics/lag"
	"swell/metrics/store"
)

// Reasons of the Ready condition.
const (
	reasonSampled        = "Sampled"
	reasonNotSampled     = "NotSampled"
	reasonNeverCommitted = "NeverCommitted"
	reasonUnknown        = "LagUnknown"
	reasonRatesUnknown   = "ReplicasUnknown"
	reasonCluster        = "UnknownCluster"
	reasonInvalid        = "InvalidSpec"
)

// ReasonForbidden is the Reason of a result whose namespace may not ask about its group.
const ReasonForbidden = "Forbidden"

// Evaluate judges the QueueConsumers of a cluster after a poll of it, and those that nobody polls for.
func (c *Consumers) Evaluate(cluster string) {
	c.judging.Lock()
	defer c.judging.Unlock()
	s := c.settings.Load()
	now := s.Clock.Now()
	c.followRates(s, now, cluster)
	c.logGroups(s, now, cluster)
	objects, err := c.list()
	if err != nil {
		c.refuseAgain(s)
		return
	}
	before := *c.results.Load()
	next := make(map[types.NamespacedName]Result, len(objects))
	alive := make(map[types.UID]bool, len(objects))
	ctx := withPods(context.Background())
	for i := range objects {
		q := &objects[i]
		name := types.NamespacedName{Namespace: q.Namespace, Name: q.Name}
		alive[q.UID] = true
		if problem, reason := s.refused(q.Namespace, q.Spec.Kafka.Cluster, q.Spec.Kafka.Group, q.Spec.Kafka.Topics); reason != "" {
			delete(c.trackers, q.UID)
			next[name] = about(q, unread(reason, problem))
			continue
		}
		if q.Spec.Kafka.Cluster != cluster {
			if r, ok := before[name]; ok && r.UID == q.UID {
				next[name] = r
			}
			continue
		}
		next[name] = about(q, c.judge(ctx, s, now, q))
	}
	for uid := range c.trackers {
		if !alive[uid] {
			delete(c.trackers, uid)
		}
	}
	c.results.Store(&next)
	c.logChanges(before, next)
	select {
	case c.evaluated <- struct{}{}:
	default:
	}
}

// refuseAgain takes away what the configuration in force does not allow, where the QueueConsumers themselves cannot be listed.
func (c *Consumers) refuseAgain(s *settings) {
	before := *c.results.Load()
	next := make(map[types.NamespacedName]Result, len(before))
	for name, r := range before {
		if problem, reason := s.refused(name.Namespace, r.Cluster, r.Group, r.Topics); reason != "" {
			delete(c.trackers, r.UID)
			u := unread(reason, problem)
			u.UID, u.Labels, u.Cluster, u.Group, u.Topics = r.UID, r.Labels, r.Cluster, r.Group, r.Topics
			r = u
		}
		next[name] = r
	}
	c.results.Store(&next)
}

// refused says why nobody polls for a group on behalf of a namespace.
func (s *settings) refused(namespace, cluster, group string, topics []string) (problem, reason string) {
	if err := s.gate.refuse(namespace, cluster, group, topics); err != nil {
		return err.Error(), ReasonForbidden
	}
	if _, polled := s.clusters[cluster]; !polled {
		return s.unknownCluster("spec.kafka.cluster", cluster).Error(), reasonCluster
	}
	return "", ""
}

// unread is the result of a QueueConsumer whose group is not read.
func unread(reason, problem string) Result {
	return Result{Reason: reason, Problem: problem, LagProblem: problem, pods: int(lag.Unknown), sight: sight{unknown: problem}}
}

// about says whom a result is of.
func about(q *v1alpha1.QueueConsumer, r Result) Result {
	r.UID, r.Labels, r.Cluster, r.Group, r.Topics = q.UID, q.Labels, q.Spec.Kafka.Cluster, q.Spec.Kafka.Group, q.Spec.Kafka.Topics
	return r
}

func (c *Consumers) judge(ctx context.Context, s *settings, now time.Time, q *v1alpha1.QueueConsumer) Result {
	t, err := c.tracker(s, now, q)
	if err != nil {
		return unread(reasonInvalid, err.Error())
	}
	c.align(s, now, t, &q.Status)
	staleAfter := s.clusters[q.Spec.Kafka.Cluster].StaleAfter.Duration
	view := c.opts.Store.View(store.Key{Cluster: q.Spec.Kafka.Cluster, Group: q.Spec.Kafka.Group}, now, staleAfter, t.reads.topics.Selection())
	pods, err := c.opts.Pods(ctx, q.Namespace, q.Spec.ScaleTargetRef)
	podsProblem := ""
	if err != nil {
		pods, podsProblem = lag.Pods{Ready: int(lag.Unknown)}, err.Error()
	}
	r := Result{podsProblem: podsProblem, Estimate: t.Observe(now, view.Readings, lag.Members{Pods: pods, Rebalancing: view.Rebalancing}), reads: t.reads, pods: pods.Ready}
	r.LagProblem = lagProblem(view, r.Sum, t.reads.rules)
	switch {
	case view.Polled.IsZero():
		r.Reason, r.Problem = reasonNotSampled, r.LagProblem
	case r.LagProblem != "":
		r.Reason, r.Problem = reasonUnknown, r.LagProblem
		if r.NeverCommitted() {
			r.Reason = reasonNeverCommitted
		}
	case r.Unknown != "":
		r.Reason, r.Problem = reasonRatesUnknown, r.Unknown
	default:
		r.Why = why(r, t.perPod)
		t.held = hold(r)
	}
	r.held = t.held
	if q.Spec.Zero != nil {
		unknown := r.LagProblem
		if r.Reason == reasonNeverCommitted {
			unknown = "" // what no commit is proof of is decided there
		}
		r.sight = see(view.Readings, t.reads.rules, r.Sum, unknown)
		t.idle = t.idle.next(r.sight, staleAfter)
		r.idle = t.idle
	}
	return r
}

// why says what the replicas were counted from. The time of the sample stands beside it in the status: with it in
// here, every poll of an idle group would be a write.
func why(r Result, declared float64) string {
	learned := "declared"
	if r.PerPod != declared {
		learned = fmt.Sprintf("learned, %.4g/s declared", declared)
	}
	return fmt.Sprintf("lag %d in %d partitions; λ %.4g/s produced, %.4g/s read; μ %.4g/s a pod (%s); N = %s",
		r.Lag, r.Total, r.Produce, r.Consume, r.PerPod, learned, r.Why)
}

// lagProblem says why a lag must not be served. A group that has committed nothing at all is one whose consumers have not begun, or a
// wrong name: what no commit counts as says nothing of either, unless it is all that there is.
func lagProblem(v store.View, sum lag.Sum, rules lag.Rules) string {
	switch {
	case v.Polled.IsZero():
		return notSampled
	case sum.NeverCommitted() && rules.Uncommitted != v1alpha1.UncommittedEarliest:
		return fmt.Sprintf("the group has no commit in any of %d partitions: correct its name or its topics (spec.kafka, or the selector), or start its consumers", sum.Total)
	case sum.Complete():
		return ""
	case sum.Total == 0 && v.Problem != "":
		return v.Problem + since(v.Since)
	case sum.Total == 0:
		return "none of its partitions are known: check its topics, and that the group has committed where no topic is named"
	}
	return fmt.Sprintf("%d of %d partitions are known: %s", sum.Known, sum.Total, sum.Problems[0])
}

func since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " (since " + t.UTC().Format(time.RFC3339) + ")"
}
