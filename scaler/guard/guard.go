// Package guard tells which other scalers act on the same nodes.
package guard

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"swell/nodegroups"
)

// StatusName is the ConfigMap that cluster-autoscaler writes every ten seconds, in its own namespace.
const StatusName = "cluster-autoscaler-status"

const (
	// freshWithin is how old cluster-autoscaler's status may be while it runs: it writes one each scan, and waits for its lease
	// for less than this when it starts anew.
	freshWithin    = 2 * time.Minute
	updatedKey     = "cluster-autoscaler.kubernetes.io/last-updated"
	updatedForm    = "2006-01-02 15:04:05.999999999 -0700 MST"
	enabledTag     = "k8s.io/cluster-autoscaler/enabled"
	discoverPrefix = "asg:tag="
)

// Seen is what was found of other scalers.
type Seen struct {
	// Autoscaler is where cluster-autoscaler runs, in words; empty is that none does.
	Autoscaler string
	// Known says that its groups are: Groups by name, or Tags, of which a group carries all of one list.
	Known  bool
	Groups map[string]bool
	Tags   [][]string
	// Karpenter is where Karpenter runs, in words, EKS Auto Mode's included, which runs it outside the cluster.
	Karpenter string
}

// autoMode is the label, with the value auto, of the nodes that EKS Auto Mode launches.
const autoMode = "eks.amazonaws.com/compute-type"

// Look finds other scalers by their pods, by the nodes that they launch, and by the status that cluster-autoscaler writes. Now is
// the machine's time.
func Look(now time.Time, pods []*corev1.Pod, nodes []*corev1.Node, statuses []corev1.ConfigMap) Seen {
	s := Seen{Groups: map[string]bool{}}
	for _, n := range nodes {
		if at := fmt.Sprintf("node %s of EKS Auto Mode", n.Name); n.Labels[autoMode] == "auto" && (s.Karpenter == "" || at < s.Karpenter) {
			s.Karpenter = at
		}
	}
	for _, p := range pods {
		for _, c := range p.Spec.Containers {
			at := fmt.Sprintf("pod %s/%s", p.Namespace, p.Name)
			switch {
			case isAutoscaler(c):
				s.Autoscaler = at
				s.arguments(append(slices.Clone(c.Command), c.Args...))
			case isKarpenter(p, c):
				s.Karpenter = at
			}
		}
	}
	for _, m := range statuses {
		written, err := time.Parse(updatedForm, m.Annotations[updatedKey])
		if err != nil || now.Sub(written) > freshWithin {
			continue
		}
		if s.Autoscaler == "" {
			s.Autoscaler = fmt.Sprintf("ConfigMap %s/%s, written at %s", m.Namespace, m.Name, written.UTC().Format(time.RFC3339))
		}
		s.status(m.Data["status"])
	}
	return s
}

func isAutoscaler(c corev1.Container) bool {
	if strings.HasPrefix(image(c.Image), "cluster-autoscaler") {
		return true
	}
	return slices.ContainsFunc(append(slices.Clone(c.Command), c.Args...), func(word string) bool { return path.Base(word) == "cluster-autoscaler" })
}

func isKarpenter(p *corev1.Pod, c corev1.Container) bool {
	return strings.Contains(c.Image, "karpenter/controller") || p.Labels["app.kubernetes.io/name"] == "karpenter"
}

// image is an image's last name, without its tag and digest.
func image(ref string) string {
	name, _, _ := strings.Cut(path.Base(strings.SplitN(ref, "@", 2)[0]), ":")
	return name
}

// arguments are --nodes=min:max:NAME and --node-group-auto-discovery=asg:tag=TAG,…; a tag may be given as key=value.
func (s *Seen) arguments(words []string) {
	for i, word := range words {
		flag, value, ok := strings.Cut(strings.TrimLeft(word, "-"), "=")
		if !ok && i+1 < len(words) {
			value = words[i+1]
		}
		switch flag {
		case "nodes":
			if parts := strings.SplitN(value, ":", 3); len(parts) == 3 {
				s.Known, s.Groups[parts[2]] = true, true
			}
		case "node-group-auto-discovery":
			if tags, ok := strings.CutPrefix(value, discoverPrefix); ok {
				s.Known, s.Tags = true, append(s.Tags, strings.Split(tags, ","))
			}
		}
	}
}

// status takes the groups that cluster-autoscaler lists in its status.
func (s *Seen) status(text string) {
	var told struct {
		NodeGroups []struct {
			Name string `json:"name"`
		} `json:"nodeGroups"`
	}
	if yaml.Unmarshal([]byte(text), &told) != nil {
		return
	}
	for _, g := range told.NodeGroups {
		s.Known, s.Groups[g.Name] = true, true
	}
}

// Conflict is why a group is not ours alone; empty is that it is. Cluster is our own cluster's name, empty where it is not given.
func (s Seen) Conflict(g nodegroups.Group, cluster string) string {
	asg := g.ASG
	if asg == "" {
		asg = g.Name
	}
	if other := foreign(g.Tags, cluster); other != "" {
		return fmt.Sprintf("group %s is of cluster %s by its tags, and this one is %s", asg, other, cluster)
	}
	if s.Autoscaler == "" || !s.acts(asg, g.Tags) {
		return ""
	}
	return fmt.Sprintf("cluster-autoscaler acts on group %s (%s)", asg, s.Autoscaler)
}

// acts says whether cluster-autoscaler acts on a group. Where nothing tells which it has, the tag of its documentation does.
func (s Seen) acts(asg string, tags map[string]string) bool {
	if !s.Known {
		_, enabled := tags[enabledTag]
		return enabled
	}
	return s.Groups[asg] || slices.ContainsFunc(s.Tags, func(all []string) bool {
		return !slices.ContainsFunc(all, func(want string) bool {
			key, value, valued := strings.Cut(want, "=")
			have, there := tags[key]
			return !there || valued && have != value
		})
	})
}

// foreign is the other cluster whose tags a group carries; empty is none, or that it cannot be told.
func foreign(tags map[string]string, cluster string) string {
	of := nodegroups.Clusters(tags)
	if cluster == "" || slices.Contains(of, cluster) {
		return ""
	}
	return strings.Join(of, ", ")
}
