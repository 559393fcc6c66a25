package sim

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	emulator "swell/bench/testbed/aws"
)

// kinds are all faults that a run may meet. Each is counted when it had its effect.
var kinds = []string{
	"AWS call lost before its effect", "AWS call lost after its effect", "AWS throttles", "stale groups",
	"capacity", "limit", "template", "address", "permission",
	"instance never joins", "instance dies and its group replaces it", "lifecycle action", "notice handler's taint", "spot interruption", "rebalance", "node not Ready",
	"API call lost before its effect", "API call lost after its effect", "API conflict", "API 429", "stale cache",
	"budget blocks", "instance goes with pods on it", "scaler crashes", "stalled leader wakes", "desired capacity by hand",
}

// strike does what goes wrong around the scalers.
func (w *world) strike() {
	group := fleet(w.seed).Groups[w.dice.IntN(2*len(zones))]
	minute := w.now().Add(time.Minute)
	refuse := func(name, code string, left int) {
		_, _ = w.aws.Control("capacity", emulator.Order{Fault: emulator.Fault{Zone: group.Zone, Market: group.Market, Code: code, Available: left, Until: minute}}) // it is well-formed
		w.fire(name)
	}
	switch w.dice.IntN(60) {
	case 0, 1:
		refuse("capacity", "", w.dice.IntN(2))
	case 2:
		refuse("limit", "VcpuLimitExceeded", 0)
	case 3:
		refuse("template", "InvalidAMIID.NotFound", 0)
	case 4:
		refuse("address", "InsufficientFreeAddressesInSubnet", 0)
	case 5:
		_, _ = w.aws.Control("deny", emulator.Order{Fault: emulator.Fault{Service: "autoscaling", Action: "LaunchInstances", Until: minute}})
		w.fire("permission")
	case 6:
		w.notice("interrupt", "spot interruption")
	case 7:
		w.notice("rebalance", "rebalance")
	case 8:
		w.kill()
	case 9:
		w.notReady()
	case 10:
		w.frozen, w.broken = w.store.view(), w.now().Add(time.Duration(10+w.dice.IntN(20))*time.Second)
		w.fire("stale cache")
	case 11:
		w.byHandChange(group)
	case 12:
		w.taint()
	}
}

// living instances that have a Node, by id.
func (w *world) living(market string) []emulator.InstanceStatus {
	var out []emulator.InstanceStatus
	for _, i := range w.aws.Status().Instances {
		if i.State == "running" && i.Joined && (market == "" || i.Market == market) && i.LostAt.IsZero() {
			out = append(out, i)
		}
	}
	return out
}

func (w *world) notice(order, fault string) {
	living := w.living("spot")
	if len(living) == 0 {
		return
	}
	i := living[w.dice.IntN(len(living))]
	if _, err := w.aws.Control(order, emulator.Order{Instances: []string{i.ID}}); err == nil {
		w.mu.Lock()
		w.noticed[i.ID] = true
		w.mu.Unlock()
		w.fire(fault)
	}
}

// kill ends an instance as EC2 does when its host fails: its group replaces it.
func (w *world) kill() {
	living := w.living("")
	if len(living) == 0 {
		return
	}
	i := living[w.dice.IntN(len(living))]
	if w.call(url.Values{"Action": {"TerminateInstanceInAutoScalingGroup"}, "InstanceId": {i.ID}, "ShouldDecrementDesiredCapacity": {"false"}}) != http.StatusOK {
		return
	}
	w.mu.Lock()
	w.leaving[i.ID] = true
	w.mu.Unlock()
	if len(fleet(w.seed).Groups[0].Hooks) > 0 {
		w.fire("lifecycle action")
		return
	}
	w.fire("instance dies and its group replaces it")
}

// handlerTaint is what aws-node-termination-handler puts on a node at a rebalance recommendation.
const handlerTaint = "aws-node-termination-handler/rebalance-recommendation"

// taint marks a node as aws-node-termination-handler does at a rebalance recommendation.
func (w *world) taint() {
	living := w.living("spot")
	if len(living) == 0 {
		return
	}
	i := living[w.dice.IntN(len(living))]
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if n := w.store.nodes[i.Node]; n == nil || len(n.Spec.Taints) > 0 {
		return
	}
	w.mu.Lock()
	w.noticed[i.ID] = true
	w.mu.Unlock()
	w.store.changeNode(i.Node, func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: handlerTaint, Effect: corev1.TaintEffectNoSchedule})
	})
	w.fire("notice handler's taint")
}

// call asks AWS for something as another than swell.
func (w *world) call(form url.Values) int {
	form.Set("Version", "2011-01-01")
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/", bytes.NewBufferString(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=person") // whose it is, is not checked
	answer := httptest.NewRecorder()
	w.aws.ServeHTTP(answer, r)
	return answer.Code
}

func (w *world) notReady() {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	nodes := w.store.sortedNodes()
	if len(nodes) == 0 {
		return
	}
	n := nodes[w.dice.IntN(len(nodes))]
	w.unready[n.Name] = w.now().Add(time.Duration(20+w.dice.IntN(60)) * time.Second)
	w.store.changeNode(n.Name, func(n *corev1.Node) { setReady(n, corev1.ConditionUnknown, w.now()) })
	w.fire("node not Ready")
}

// byHandChange raises a group's desired capacity as a person does.
func (w *world) byHandChange(g emulator.Group) {
	groups := w.aws.Status().Groups
	at := slices.IndexFunc(groups, func(s emulator.GroupStatus) bool { return s.Name == g.Name })
	if groups[at].Desired >= g.Max {
		return
	}
	w.mu.Lock()
	w.byHand[g.Name] = w.now()
	w.mu.Unlock()
	if w.call(url.Values{"Action": {"SetDesiredCapacity"}, "AutoScalingGroupName": {g.Name}, "DesiredCapacity": {number(groups[at].Desired + 1)}}) == http.StatusOK {
		w.fire("desired capacity by hand")
	}
}
