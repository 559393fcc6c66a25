// Package consumers knows who asks about which consumer group: QueueConsumers, and selectors of late. It
// judges every QueueConsumer after each poll and lets one replica write the statuses.
package consumers

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/config"
	"swell/api/v1alpha1"
	"swell/metrics/kafka"
	"swell/metrics/lag"
	"swell/metrics/store"
)

// askedFor is how long a group stays wanted after a selector last asked about it, in the machine's time,
// as is the HPA's own period.
const askedFor = 10 * time.Minute

// maxAsked is how many selectors are wanted at a time, so that a caller that makes them up fills neither memory nor polls.
const maxAsked = 1000

const notSampled = "not sampled yet: the next poll asks for it"

// Options are what the consumers are judged with.
type Options struct {
	Config *config.Metrics
	Store  *store.Store
	// Objects reads QueueConsumers, and Pods by label, from memory.
	Objects client.Reader
	// Pods counts the ready pods of a scale target.
	Pods func(ctx context.Context, namespace string, target v1alpha1.ScaleTarget) (lag.Pods, error)
	Log  *slog.Logger
}

// Consumers is safe for concurrent use.
type Consumers struct {
	opts     Options
	clusters map[string]config.KafkaCluster

	// judging lets one poll's results be made at a time.
	judging  sync.Mutex
	mu       sync.RWMutex
	asked    map[Question]time.Time
	trackers map[types.UID]*tracked
	results  map[types.NamespacedName]Result
}

// Question is what a selector asks about: a group, and its topics or none for all that it has committed.
type Question struct {
	Cluster, Group string
	// Topics are joined by commas; empty: all.
	Topics string
}

// tracked is one QueueConsumer's memory from poll to poll.
type tracked struct {
	*lag.Tracker
	spec v1alpha1.QueueConsumerSpec
}

// Result is what was last known of a QueueConsumer.
type Result struct {
	lag.Estimate
	// Labels are the QueueConsumer's own.
	Labels map[string]string
	UID    types.UID
	// Cluster and Group are what it names.
	Cluster, Group string
	// Reason is a word for Problem, for the Ready condition; both are empty while lag and replicas are known.
	Reason, Problem string
	// LagProblem says why the lag is not known; Problem may be set for the replicas alone.
	LagProblem string
}

// New makes the consumers of a configuration.
func New(o Options) *Consumers {
	c := &Consumers{opts: o, clusters: map[string]config.KafkaCluster{}, asked: map[Question]time.Time{},
		trackers: map[types.UID]*tracked{}, results: map[types.NamespacedName]Result{}}
	for _, k := range o.Config.Clusters {
		c.clusters[k.Name] = k
	}
	return c
}

// Wanted are the groups of a cluster that somebody asks about.
func (c *Consumers) Wanted(cluster string) []kafka.Want {
	var wants []kafka.Want
	objects, _ := c.list()
	for _, q := range objects {
		if q.Spec.Kafka.Cluster != cluster {
			continue
		}
		if topics, err := kafka.ParseTopics(q.Spec.Kafka.Topics); err == nil {
			wants = append(wants, kafka.Want{Group: q.Spec.Kafka.Group, Topics: topics, Isolation: q.Spec.Isolation})
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for q, at := range c.asked {
		if time.Since(at) > askedFor {
			delete(c.asked, q)
			continue
		}
		if topics, err := q.topics(); err == nil && q.Cluster == cluster {
			wants = append(wants, kafka.Want{Group: q.Group, Topics: topics, Isolation: v1alpha1.ReadCommitted})
		}
	}
	return wants
}

func (q Question) topics() (kafka.Topics, error) {
	if q.Topics == "" {
		return kafka.ParseTopics(nil)
	}
	return kafka.ParseTopics(strings.Split(q.Topics, ","))
}

// Ask is the lag of a group without a QueueConsumer. The first time it is asked about, the group becomes
// wanted and the answer is an error.
func (c *Consumers) Ask(q Question) (lag.Sum, error) {
	k, ok := c.clusters[q.Cluster]
	if !ok {
		return lag.Sum{}, c.unknownCluster("selector label cluster", q.Cluster)
	}
	topics, err := q.topics()
	if err != nil {
		return lag.Sum{}, fmt.Errorf("read selector label topic: %w", err)
	}
	if err := c.remember(q); err != nil {
		return lag.Sum{}, err
	}
	view := c.opts.Store.View(store.Key{Cluster: q.Cluster, Group: q.Group}, c.opts.Config.Clock.Now(), k.StaleAfter.Duration, topics.Match)
	sum := lag.Add(view.Readings, lag.Rules{Isolation: v1alpha1.ReadCommitted, Uncommitted: v1alpha1.UncommittedLatest})
	if problem := lagProblem(view, sum); problem != "" {
		return sum, fmt.Errorf("lag of group %q in Kafka cluster %q: %s", q.Group, q.Cluster, problem)
	}
	return sum, nil
}

// remember makes a group wanted for a while.
func (c *Consumers) remember(q Question) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.asked[q]; !ok && len(c.asked) >= maxAsked {
		return fmt.Errorf("lag of group %q in Kafka cluster %q: %d other selectors were asked about in the last %s: make a QueueConsumer for each group that is asked for always",
			q.Group, q.Cluster, len(c.asked), askedFor)
	}
	c.asked[q] = time.Now()
	return nil
}

// lagProblem says why a lag must not be served.
func lagProblem(v store.View, sum lag.Sum) string {
	switch {
	case v.Polled.IsZero():
		return notSampled
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
	return ", since " + t.UTC().Format(time.RFC3339)
}

// Get is what is known of one QueueConsumer.
func (c *Consumers) Get(name types.NamespacedName) (Result, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	r, ok := c.results[name]
	return r, ok
}

// All is what is known of every QueueConsumer in a namespace; empty: in all of them. One that was not judged
// yet is there too, as unknown. It fails where the QueueConsumers cannot be listed.
func (c *Consumers) All(namespace string) (map[types.NamespacedName]Result, error) {
	objects, err := c.list()
	if err != nil {
		return nil, fmt.Errorf("list QueueConsumers: %w", err)
	}
	all := map[types.NamespacedName]Result{}
	for i := range objects {
		q := &objects[i]
		if namespace != "" && q.Namespace != namespace {
			continue
		}
		name := types.NamespacedName{Namespace: q.Namespace, Name: q.Name}
		r, ok := c.Get(name)
		if !ok || r.UID != q.UID {
			r = about(q, Result{Reason: reasonNotSampled, Problem: notSampled, LagProblem: notSampled})
		}
		r.Labels = q.Labels
		all[name] = r
	}
	return all, nil
}

// Fresh says whether a result may still be served, else why not.
func (c *Consumers) Fresh(r Result) error {
	age := c.opts.Config.Clock.Now().Sub(r.Oldest)
	if limit := c.clusters[r.Cluster].StaleAfter.Duration; age > limit {
		return fmt.Errorf("last sampled %s ago, older than %s: is Kafka cluster %q answering", age.Round(time.Second), limit, r.Cluster)
	}
	return nil
}

func (c *Consumers) unknownCluster(field, name string) error {
	known := make([]string, 0, len(c.clusters))
	for k := range c.clusters {
		known = append(known, k)
	}
	slices.Sort(known)
	return fmt.Errorf("%s is %q, which is not in swell-metrics' configuration: give one of %s, or add it under clusters",
		field, name, strings.Join(known, ", "))
}

func (c *Consumers) list() ([]v1alpha1.QueueConsumer, error) {
	var l v1alpha1.QueueConsumerList
	if err := c.opts.Objects.List(context.Background(), &l); err != nil {
		c.opts.Log.Error("list QueueConsumers", "error", err)
		return nil, err
	}
	return l.Items, nil
}
