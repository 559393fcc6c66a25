// Package consumers knows who asks about which consumer group: QueueConsumers, and selectors of late. It
// judges every QueueConsumer after each poll; one replica learns, writes the statuses, and takes idle workloads to no replicas and back.
package consumers

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/metrics/kafka"
	"swell/metrics/lag"
	"swell/metrics/store"
)

const notSampled = "not sampled yet: the next poll asks for it"

// Options are what the consumers are judged with.
type Options struct {
	// Config is what holds until SetConfig is called.
	Config *config.Metrics
	Store  *store.Store
	// Objects reads QueueConsumers from memory; what it gives is never changed.
	Objects client.Reader
	// Pods counts the ready pods of a scale target, without waiting for anyone.
	Pods func(ctx context.Context, namespace string, target v1alpha1.ScaleTarget) (lag.Pods, error)
	Log  *slog.Logger
}

// Consumers is safe for concurrent use. What is asked is answered from the last results, which judging replaces as a whole.
type Consumers struct {
	opts     Options
	settings atomic.Pointer[settings]
	results  atomic.Pointer[map[types.NamespacedName]Result]
	// listed are all QueueConsumers as they were listed last.
	listed atomic.Pointer[[]v1alpha1.QueueConsumer]
	// leading says that this replica learns.
	leading atomic.Bool
	// writing lets one call of WriteStatuses work at a time.
	writing sync.Mutex
	// evaluated has room for one word that there are new results.
	evaluated chan struct{}
	asked     asked
	zero      zeroKeeper

	// judging lets one poll's results be made at a time; it guards the two below.
	judging  sync.Mutex
	trackers map[types.UID]*tracked
	// lost are the QueueConsumers that are unknown, as the log has it.
	lost lostOnes
	// lostGroups says of what selectors ask about whether its lag was unknown at the last poll.
	lostGroups map[selection]bool
}

// settings are a configuration in force; never changed.
type settings struct {
	*config.Metrics
	clusters map[string]config.KafkaCluster
	gate     *gate
}

func newSettings(m *config.Metrics) *settings {
	s := &settings{Metrics: m, clusters: map[string]config.KafkaCluster{}, gate: &gate{rules: m.NamespaceRules}}
	for _, k := range m.Clusters {
		s.clusters[k.Name] = k
	}
	return s
}

// Result is what was last known of a QueueConsumer. In Why stands what its replicas were counted from.
type Result struct {
	lag.Estimate
	// Labels are the QueueConsumer's own.
	Labels map[string]string
	UID    types.UID
	// Cluster, Group and Topics are what it names.
	Cluster, Group string
	Topics         []string
	// Reason is a word for Problem, for the Ready condition; both are empty while lag and replicas are known.
	Reason, Problem string
	// LagProblem says why the lag is not known; Problem may be set for the replicas alone.
	LagProblem string

	// reads is what of the group it reads; nil where that is not known, or not allowed.
	reads *reads
	// pods is how many are ready, -1 unknown; podsProblem says why, where that is not for want of time.
	pods        int
	podsProblem string
	// sight and idle are what going to zero and back is decided by.
	sight sight
	idle  idleness
	// held is what a successor goes on from.
	held held
}

// ReadyPods are the pods of its workload that are ready; false is that they are not known.
func (r Result) ReadyPods() (int, bool) { return r.pods, r.pods >= 0 }

// reads is which topics of a group are read, and how.
type reads struct {
	topics kafka.Topics
	rules  lag.Rules
}

// New makes the consumers of a configuration.
func New(o Options) *Consumers {
	c := &Consumers{opts: o, evaluated: make(chan struct{}, 1), trackers: map[types.UID]*tracked{}, lost: lostOnes{}, lostGroups: map[selection]bool{}}
	c.asked.questions, c.asked.rates = map[question]*times{}, map[selection]*rated{}
	c.settings.Store(newSettings(o.Config))
	c.listed.Store(&[]v1alpha1.QueueConsumer{})
	c.results.Store(&map[types.NamespacedName]Result{})
	return c
}

// SetConfig puts another configuration in force. What is known of clusters that it no longer has is forgotten, the rest stays.
// The pollers of those clusters must have stopped. The clock must be the one that it was.
func (c *Consumers) SetConfig(m *config.Metrics) {
	next := newSettings(m)
	c.judging.Lock()
	before := c.settings.Swap(next)
	c.judging.Unlock()
	for name := range before.clusters {
		if _, stays := next.clusters[name]; !stays {
			c.opts.Store.Keep(name, func(string) bool { return false })
			c.asked.forget(name)
		}
	}
	if next.RateWindow != before.RateWindow {
		c.asked.forgetRates()
	}
	c.Evaluate("")
}

// Wanted are the groups of a cluster that somebody asks about and may.
func (c *Consumers) Wanted(cluster string) []kafka.Want {
	s := c.settings.Load()
	if _, ok := s.clusters[cluster]; !ok {
		return nil
	}
	var wants []kafka.Want
	objects, err := c.list()
	if err != nil {
		// Nobody stopped asking.
		objects = *c.listed.Load()
	}
	for i := range objects {
		q := &objects[i]
		if q.Spec.Kafka.Cluster != cluster || s.gate.refuse(q.Namespace, cluster, q.Spec.Kafka.Group, q.Spec.Kafka.Topics) != nil {
			continue
		}
		if topics, err := kafka.ParseTopics(q.Spec.Kafka.Topics); err == nil && kafka.ValidGroup(q.Spec.Kafka.Group) == nil {
			wants = append(wants, kafka.Want{Group: q.Spec.Kafka.Group, Topics: topics, Isolation: q.Spec.Isolation,
				LateAfter: q.Spec.LateAfter.Duration, Ages: true, Uncommitted: cmp.Or(q.Spec.Uncommitted, v1alpha1.UncommittedLatest)})
		}
	}
	return append(wants, c.asked.wanted(cluster, time.Now())...)
}

// Get is what is known of one QueueConsumer.
func (c *Consumers) Get(name types.NamespacedName) (Result, bool) {
	r, ok := (*c.results.Load())[name]
	return r, ok
}

// All is what is known of every QueueConsumer in a namespace; empty: in all of them. One that was not judged
// yet is there too, as unknown. It fails where the QueueConsumers cannot be listed.
func (c *Consumers) All(namespace string) (map[types.NamespacedName]Result, error) {
	objects, err := c.list(client.InNamespace(namespace))
	if err != nil {
		return nil, fmt.Errorf("list QueueConsumers: %w", err)
	}
	results := *c.results.Load()
	all := map[types.NamespacedName]Result{}
	for i := range objects {
		q := &objects[i]
		if namespace != "" && q.Namespace != namespace {
			continue
		}
		name := types.NamespacedName{Namespace: q.Namespace, Name: q.Name}
		r, ok := results[name]
		if !ok || r.UID != q.UID {
			r = about(q, unread(reasonNotSampled, notSampled))
		}
		r.Labels = q.Labels
		all[name] = r
	}
	return all, nil
}

// Fresh says whether a result may still be served, else why not.
func (c *Consumers) Fresh(r Result) error {
	s := c.settings.Load()
	age := s.Clock.Now().Sub(r.Oldest)
	if limit := s.clusters[r.Cluster].StaleAfter.Duration; age > limit {
		return fmt.Errorf("last sampled %s ago, older than %s: is Kafka cluster %q answering", age.Round(time.Second), limit, r.Cluster)
	}
	return nil
}

func (s *settings) unknownCluster(field, name string) error {
	known := make([]string, 0, len(s.clusters))
	for k := range s.clusters {
		known = append(known, k)
	}
	slices.Sort(known)
	return fmt.Errorf("%s is %q: %w: give one of %s, or add it under clusters", field, name, ErrUnknownCluster, strings.Join(known, ", "))
}

// list gives objects that are shared with others: read only.
func (c *Consumers) list(opts ...client.ListOption) ([]v1alpha1.QueueConsumer, error) {
	var l v1alpha1.QueueConsumerList
	if err := c.opts.Objects.List(context.Background(), &l, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
		c.opts.Log.Error("list QueueConsumers", "error", err)
		return nil, err
	}
	if len(opts) == 0 {
		c.listed.Store(&l.Items)
	}
	return l.Items, nil
}
