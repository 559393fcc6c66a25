package scaler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"swell/api/v1alpha1"
	"swell/balloon"
	"swell/balloon/apply"
	"swell/scaler/observe"
	"swell/scaler/plan"
)

const (
	// reapply is how long CapacityBuffers that were applied are taken to be as they were left; model time.
	reapply = 10 * time.Minute
	// firstRetry and lastRetry bound the wait after buffers that could not be applied or deleted; model time, doubling between.
	firstRetry, lastRetry = 10 * time.Second, 5 * time.Minute
	// askVersion is how long the API server's version is taken to be what it was; model time.
	askVersion = time.Hour
	// imageVolumes is the first minor version of Kubernetes 1 that has image volumes without being asked to.
	imageVolumes = 35
)

// output is what the loop remembers of what holds one Balloon's room.
type output struct {
	// held is what was last wanted, by zone; where there are pods, they tell it.
	held map[string]int
	// virtual says that the room is in the planner's memory, as balloons like these, by zone.
	virtual bool
	pods    map[string]*corev1.Pod
	// soon is what was last found to be wanted soon, by zone.
	soon map[string]int
	// replicas that the workload was last given, and when they were last lowered.
	replicas int
	fellAt   time.Time
	// generation of the Balloon that was last decided on.
	generation int64
	// requests of one pod that its balloons hold the place of.
	requests balloon.Requests
	// target as it was last read, of a kind that no cache has.
	target seenTarget
	// applied tells the buffers, or the absence of buffers, that were last brought about, and when.
	applied   string
	appliedAt time.Time
	err       error
	wait      time.Duration
	retryAt   time.Time
}

// outputOf is the memory of a Balloon's output; a new one knows what a predecessor wrote into the status.
func (l *Loop) outputOf(b *v1alpha1.Balloon) *output {
	key := b.Namespace + "/" + b.Name
	if l.outputs[key] == nil {
		o := &output{held: map[string]int{}}
		for _, z := range b.Status.Zones {
			o.held[z.Zone] = int(z.Balloons)
		}
		l.outputs[key] = o
	}
	return l.outputs[key]
}

// fell notes the replicas that a workload is given, and says whether they were lowered so lately that its pods may
// still be on their way out.
func (o *output) fell(now time.Time, replicas int) bool {
	if replicas < o.replicas {
		o.fellAt = now
	}
	o.replicas = replicas
	return now.Sub(o.fellAt) < leavesWithin
}

func holdsPods(b *v1alpha1.Balloon) bool {
	return b.Spec.Output == "" || b.Spec.Output == v1alpha1.OutputPods
}

// held is how many balloons a Balloon has in each zone: its pods, or where it makes none what was last decided.
func (l *Loop) held(b *v1alpha1.Balloon, world *observe.World) map[string]int {
	if !holdsPods(b) {
		return l.outputOf(b).held
	}
	out := map[string]int{}
	for _, p := range world.Snapshot.Pods {
		if p.Namespace == b.Namespace && p.Labels[plan.BalloonLabel] == b.Name && p.DeletionTimestamp == nil {
			out[balloon.PinnedZone(p)]++
		}
	}
	return out
}

// output turns a decision into what the plan is to hold room with, and says how that went.
func (l *Loop) output(ctx context.Context, now time.Time, world *observe.World, s *size, w balloon.Workload) []plan.BalloonDemand {
	b := s.balloon
	o := l.outputOf(b)
	w.PullImages = l.pullAhead(now, s, w.Template)
	o.soon = s.soon
	pods := map[string]*corev1.Pod{}
	for _, z := range s.decision.Zones {
		pod, err := balloon.PodFor(*b, z.Zone, w)
		if err != nil {
			s.no("NoBalloonForThis", err.Error())
			return l.keep(b, world)
		}
		pods[z.Zone] = pod
	}
	if b.Spec.Mode == v1alpha1.Observe {
		s.no(observing, "spec.mode is Observe: nothing is made or deleted")
		return l.keep(b, world)
	}
	if b.Spec.Output == v1alpha1.OutputCapacityBuffer {
		return l.outputBuffers(ctx, now, world, s, o, pods)
	}
	l.withoutBuffers(ctx, now, o, s)
	if b.Spec.Output == v1alpha1.OutputVirtual {
		s.yes("Held", "room is held in the planner's memory; no pods are made")
		return o.demands(s, pods, true)
	}
	return l.outputPods(ctx, world, s, o, pods)
}

// demands are the decision in the plan's terms.
func (o *output) demands(s *size, pods map[string]*corev1.Pod, virtual bool) []plan.BalloonDemand {
	out := none(s.balloon)
	o.virtual, o.pods = virtual, pods
	clear(o.held)
	for _, z := range s.decision.Zones {
		o.held[z.Zone] = z.Balloons
		out = append(out, plan.BalloonDemand{Namespace: s.balloon.Namespace, Name: s.balloon.Name, Zone: z.Zone, Pod: pods[z.Zone], Want: z.Balloons,
			Soon: max(z.Balloons, s.soon[z.Zone]), Virtual: virtual, Patient: s.patient})
	}
	return out
}

func (l *Loop) outputPods(ctx context.Context, world *observe.World, s *size, o *output, pods map[string]*corev1.Pod) []plan.BalloonDemand {
	b := s.balloon
	eater, err := l.quota(ctx, b.Namespace, pods)
	switch {
	case err != nil:
		s.no("QuotaUnknown", err.Error())
		return l.keep(b, world)
	case eater != "":
		s.no("QuotaWouldBeEaten", fmt.Sprintf("balloons would count against %s, which is the workloads', so none are held; %s", eater, balloon.QuotaMend))
		return none(b)
	}
	refused, again := l.actor.Refused(b.Namespace + "/" + b.Name)
	if refused != nil {
		s.no("Refused", refused.Error())
	} else {
		s.yes("Held", "room is held by pods")
	}
	if !again { // what cannot be made must not buy nodes
		return l.keep(b, world)
	}
	return o.demands(s, pods, false)
}

// quota is why the namespace's quotas stand against balloons.
func (l *Loop) quota(ctx context.Context, namespace string, pods map[string]*corev1.Pod) (string, error) {
	var list corev1.ResourceQuotaList
	if err := l.client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return "", fmt.Errorf("reading the ResourceQuotas of %s: %w", namespace, err)
	}
	for _, pod := range pods { // all are alike in this
		return balloon.QuotaEater(list.Items, pod), nil
	}
	return "", nil
}

// outputBuffers leaves the room to the scaler that owns the nodes. What an earlier output holds stays until that is arranged.
func (l *Loop) outputBuffers(ctx context.Context, now time.Time, world *observe.World, s *size, o *output, pods map[string]*corev1.Pod) []plan.BalloonDemand {
	b := s.balloon
	var buffers []apply.Buffer
	words := []string{b.Name, string(b.UID)}
	for _, z := range s.decision.Zones {
		buffers = append(buffers, apply.Buffer{Zone: z.Zone, Replicas: z.Balloons, Pod: pods[z.Zone]})
		words = append(words, z.Zone, strconv.Itoa(z.Balloons), pods[z.Zone].Annotations[balloon.HashAnnotation])
	}
	err := l.bring(ctx, now, o, strings.Join(words, " "), func() error { return apply.ApplyBuffers(ctx, l.client, b, buffers) })
	if err != nil {
		reason := "BuffersRefused"
		if errors.Is(err, apply.ErrNoBuffers) {
			reason = "NoCapacityBuffers"
		}
		s.no(reason, err.Error())
		if o.virtual {
			return o.demands(s, pods, true)
		}
		return l.keep(b, world)
	}
	s.yes("Held", "room is held by CapacityBuffers, for the scaler that owns the nodes")
	o.demands(s, pods, false) // remembered, and none of the plan's business
	return none(b)
}

// noBuffers is the state of an output without CapacityBuffers.
const noBuffers = "none"

// bring does what leads to a state, when it is another than the last, or that is long ago, and no sooner than the last
// failure allows.
func (l *Loop) bring(ctx context.Context, now time.Time, o *output, state string, do func() error) error {
	if o.err != nil && now.Before(o.retryAt) {
		return o.err
	}
	if o.err == nil && o.applied == state && now.Sub(o.appliedAt) < reapply {
		return nil
	}
	if o.err = l.actor.Check(ctx); o.err == nil {
		o.err = do()
	}
	if o.err != nil {
		o.wait = min(max(2*o.wait, firstRetry), lastRetry)
		o.retryAt = now.Add(o.wait)
		return o.err
	}
	o.applied, o.appliedAt, o.wait = state, now, 0
	return nil
}

// keep is a demand for just the balloons that exist, in memory or as pods. What was last found to be wanted soon is not
// forgotten: nodes that it needs stay too.
func (l *Loop) keep(b *v1alpha1.Balloon, world *observe.World) []plan.BalloonDemand {
	o := l.outputOf(b)
	if o.virtual && b.Spec.Mode != v1alpha1.Observe {
		out := none(b)
		for _, zone := range slices.Sorted(maps.Keys(o.pods)) {
			out = append(out, plan.BalloonDemand{Namespace: b.Namespace, Name: b.Name, Zone: zone, Pod: o.pods[zone], Want: o.held[zone],
				Soon: max(o.held[zone], o.soon[zone]), Virtual: true})
		}
		return out
	}
	byZone := map[string]*plan.BalloonDemand{}
	var zones []string
	for _, p := range world.Snapshot.Pods {
		if p.Namespace != b.Namespace || p.Labels[plan.BalloonLabel] != b.Name || p.DeletionTimestamp != nil {
			continue
		}
		zone := balloon.PinnedZone(p)
		if byZone[zone] == nil {
			byZone[zone] = &plan.BalloonDemand{Namespace: b.Namespace, Name: b.Name, Zone: zone, Observe: b.Spec.Mode == v1alpha1.Observe}
			zones = append(zones, zone)
		}
		byZone[zone].Want++
	}
	for _, zone := range slices.Sorted(maps.Keys(o.soon)) {
		if b.Spec.Mode == v1alpha1.Observe || !holdsPods(b) || o.pods[zone] == nil {
			continue
		}
		if byZone[zone] == nil {
			byZone[zone] = &plan.BalloonDemand{Namespace: b.Namespace, Name: b.Name, Zone: zone}
			zones = append(zones, zone)
		}
		byZone[zone].Soon, byZone[zone].SoonPod = o.soon[zone], o.pods[zone]
	}
	var out []plan.BalloonDemand
	for _, z := range zones {
		out = append(out, *byZone[z])
	}
	return out
}

// none is a demand for no balloons at all: those that exist go.
func none(b *v1alpha1.Balloon) []plan.BalloonDemand {
	return []plan.BalloonDemand{{Namespace: b.Namespace, Name: b.Name}}
}

// pullAhead says whether the Balloon's pods pull the workload's images, and why not where that was asked for.
func (l *Loop) pullAhead(now time.Time, s *size, template corev1.PodTemplateSpec) bool {
	switch b := s.balloon; {
	case !b.Spec.PrePullImages:
		return false
	case !holdsPods(b):
		s.say(imagesPulled, false, "NoPods", fmt.Sprintf("spec.output %s makes no pods that could pull images; use Pods, or leave spec.prePullImages out", b.Spec.Output))
		return false
	}
	if l.versionAt.IsZero() || now.Sub(l.versionAt) >= askVersion {
		v, err := l.kube.Discovery().ServerVersion()
		if err != nil {
			s.say(imagesPulled, false, "VersionUnknown", fmt.Sprintf("reading the API server's version: %s; balloons are made without images until it answers", err))
			return l.minor >= imageVolumes
		}
		l.version, l.minor, l.versionAt = v.GitVersion, 0, now
		if minor, err := strconv.Atoi(strings.TrimRight(v.Minor, "+")); err == nil && v.Major == "1" {
			l.minor = minor
		}
	}
	if l.minor < imageVolumes {
		s.say(imagesPulled, false, "ServerTooOld", fmt.Sprintf("image volumes are on from Kubernetes 1.%d and this is %s; balloons are made without images until it is upgraded", imageVolumes, l.version))
		return false
	}
	if n := len(balloon.Images(template)); n > balloon.MaxImages {
		s.say(imagesPulled, false, "TooMany", fmt.Sprintf("the workload has %d images and a balloon pulls %d at most; the last ones are pulled by its own pods", n, balloon.MaxImages))
		return true
	}
	s.say(imagesPulled, true, "ImageVolumes", "balloons have the workload's images as image volumes")
	return true
}
