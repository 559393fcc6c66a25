package aws_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups"
	"swell/nodegroups/aws"
)

var wide = nodegroups.Selection{Pool: "wide", Tags: map[string]string{"swell/pool": "wide"}, MultiZone: true, MayChange: true}

// prepaid are the groups with what of them is prepaid, as the scaler's reading has it.
func (w *world) prepaid() ([]nodegroups.Group, []aws.Problem) {
	w.t.Helper()
	groups, _ := w.selected(nodegroups.Selection{Pool: "general", Tags: general})
	p, problems := w.c.Prepaid(ctx, []string{"m6i.4xlarge"})
	nodegroups.AllocatePrepaid(groups, p.Reservations, p.Commitments)
	return groups, problems
}

func (w *world) selected(s nodegroups.Selection) ([]nodegroups.Group, []aws.Problem) {
	w.t.Helper()
	groups, problems, err := w.c.Select(ctx, s)
	if err != nil {
		w.t.Fatal(err)
	}
	return groups, problems
}

// altered makes the emulator's answer to an action say something else, as the service says what the emulator has no state for.
func (w *world) altered(action string, change func(answer string) string) {
	before := w.instead
	w.instead = func(rw http.ResponseWriter, asked, body string) bool {
		if asked != action {
			return before != nil && before(rw, asked, body)
		}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 test")
		recorder := httptest.NewRecorder()
		w.e.ServeHTTP(recorder, r)
		rw.Header().Set("Content-Type", "text/xml")
		rw.WriteHeader(recorder.Code)
		_, _ = rw.Write([]byte(change(recorder.Body.String())))
		return true
	}
}

// ka#3693: AZRebalance must not move what the plan has placed; where a group spans zones it is suspended first.
func TestAGroupThatSpansZonesIsUsedByZoneWithRebalanceSuspended(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Second)
	groups, problems := w.selected(wide)
	if len(groups) != 2 || len(problems) != 0 || w.seen["SuspendProcesses"] != 1 {
		t.Fatalf("%d groups, problems %v, %d suspensions", len(groups), problems, w.seen["SuspendProcesses"])
	}
	for i, zone := range []string{"ap-northeast-1a", "ap-northeast-1c"} {
		if g := groups[i]; g.Name != "wide@"+zone || g.ASG != "wide" || g.Zone != zone || g.Max != 5 || g.Template.Labels["topology.kubernetes.io/zone"] != zone {
			t.Errorf("unexpected group %+v", g)
		}
	}
	w.selected(wide)
	if w.seen["SuspendProcesses"] != 1 {
		t.Error("a suspended process is suspended again")
	}
	got, err := w.c.Launch(ctx, "wide@ap-northeast-1c", "ap-northeast-1c", 2, "t")
	if err != nil || len(got.Instances) != 2 || got.Instances[0].Zone != "ap-northeast-1c" {
		t.Fatalf("launched %+v, %v", got, err)
	}
	groups, _ = w.selected(wide)
	if groups[0].Alive() != 0 || groups[0].Desired != 0 || groups[1].Alive() != 2 || groups[1].Desired != 2 {
		t.Errorf("alive %d and %d, desired %d and %d: want none in 1a and 2 in 1c", groups[0].Alive(), groups[1].Alive(), groups[0].Desired, groups[1].Desired)
	}
	if err := w.c.Terminate(ctx, got.Instances[0].ID); err != nil {
		t.Fatal(err)
	}
	w.want("wide", 1, 1)
}

func TestNothingIsSuspendedForAPoolThatObserves(t *testing.T) {
	w := newWorld(t)
	watch := wide
	watch.MayChange = false
	groups, problems := w.selected(watch)
	if len(groups) != 2 || len(problems) != 1 || !strings.Contains(problems[0].What, "AZRebalance") || w.seen["SuspendProcesses"] != 0 {
		t.Errorf("%d groups, problems %v, %d suspensions", len(groups), problems, w.seen["SuspendProcesses"])
	}
}

// ka#3693
func TestNothingIsLaunchedInAGroupWhoseRebalanceRuns(t *testing.T) {
	w := newWorld(t)
	w.order("deny", emulator.Order{Fault: emulator.Fault{Action: "SuspendProcesses"}})
	groups, problems := w.selected(wide)
	if len(groups) != 0 || len(problems) != 1 || !strings.Contains(problems[0].Mend, "autoscaling:SuspendProcesses") {
		t.Errorf("%d groups, problems %v: want none to launch in", len(groups), problems)
	}
}

func TestARaisedDesiredCapacityCannotChooseAZone(t *testing.T) {
	w := newWorld(t)
	w.order("deny", emulator.Order{Fault: emulator.Fault{Action: "LaunchInstances"}})
	got, err := w.c.Launch(ctx, "wide@ap-northeast-1c", "ap-northeast-1c", 2, "t")
	if err != nil || got.Raised != 0 || len(got.Failures) != 1 || got.Failures[0].Class != nodegroups.NotAllowed || !strings.Contains(got.Failures[0].Message, "cannot choose") {
		t.Errorf("got %+v, %v", got, err)
	}
	w.want("wide", 0, 0)
}

func TestAWarmPoolIsRefusedOrItsInstancesAreNoCapacity(t *testing.T) {
	w := newWorld(t)
	w.pass(10 * time.Minute)
	w.altered("DescribeAutoScalingGroups", func(answer string) string {
		answer = strings.ReplaceAll(answer, "<AvailabilityZones>", "<WarmPoolConfiguration><MinSize>1</MinSize></WarmPoolConfiguration><AvailabilityZones>")
		return strings.Replace(answer, "<LifecycleState>InService<", "<LifecycleState>Warmed:Stopped<", 1)
	})
	groups, problems := w.groups(general)
	if slices.ContainsFunc(groups, func(g nodegroups.Group) bool { return g.Unusable == "" || g.Alive() == 0 }) || len(problems) < 3 || !strings.Contains(problems[0].Mend, "warmPool: Use") {
		t.Fatalf("%d groups, problems %v", len(groups), problems)
	}
	groups, _ = w.selected(nodegroups.Selection{Pool: "general", Tags: general, WarmPool: true})
	alive, listed := 0, 0
	for _, g := range groups {
		alive += g.Alive()
		listed += len(g.Instances)
	}
	if alive != 2 || listed != 2 { // one on demand and two on spot, one of which is in the warm pool
		t.Errorf("%d alive of %d, want 2 of 2", alive, listed)
	}
}

// ka#4851: weighted groups count units, of which nobody knows how many instances they are.
func TestWeightsAreReadAndUnitsNotTakenForInstances(t *testing.T) {
	w := newWorld(t)
	w.altered("DescribeAutoScalingGroups", func(answer string) string {
		return strings.ReplaceAll(answer, "<InstanceType>m5.4xlarge</InstanceType></member></Overrides>", "<InstanceType>m5.4xlarge</InstanceType><WeightedCapacity>2</WeightedCapacity></member></Overrides>")
	})
	groups, problems := w.groups(general)
	if len(groups) != 2 || !slices.ContainsFunc(problems, func(p aws.Problem) bool {
		return p.Group == "general-1c-spot" && strings.Contains(p.What, "units") && strings.Contains(p.Mend, "weights")
	}) {
		t.Errorf("%d groups, problems %v", len(groups), problems)
	}
}

// ka#9568
func TestEveryTypeOfAMixedGroupIsATemplateOfItsOwn(t *testing.T) {
	w := newWorld(t)
	w.altered("DescribeInstanceTypes", func(answer string) string {
		parts := strings.Split(answer, "<instanceType>")
		for i, p := range parts {
			if strings.HasPrefix(p, "m5.4xlarge<") {
				parts[i] = strings.Replace(p, "<sizeInMiB>65536<", "<sizeInMiB>32768<", 1)
			}
		}
		return strings.Join(parts, "<instanceType>")
	})
	w.altered("DescribeAutoScalingGroups", func(answer string) string {
		return strings.ReplaceAll(answer, "k8s.io/cluster-autoscaler/node-template/resources/memory", "not-a-template-tag")
	})
	groups, _ := w.groups(general)
	g := groups[2]
	larger, smaller := g.Templates["m6i.4xlarge"].Allocatable, g.Templates["m5.4xlarge"].Allocatable
	first, second := larger.Memory(), smaller.Memory()
	if first.Cmp(*second) <= 0 || g.Template.Allocatable.Memory().Cmp(*second) != 0 {
		t.Errorf("memory %s and %s, the least %s: want two templates and the smaller", first, second, g.Template.Allocatable.Memory())
	}
	if g.Templates["m5.4xlarge"].Labels["node.kubernetes.io/instance-type"] != "m5.4xlarge" || g.Template.Labels["node.kubernetes.io/instance-type"] != "" {
		t.Error("a label that the types do not share is the group's")
	}
}

func TestAcceleratorsAndTheRootVolumeAreInTheTemplate(t *testing.T) {
	w := newWorld(t)
	w.altered("DescribeInstanceTypes", func(answer string) string {
		return strings.ReplaceAll(answer, "<instanceType>", `<gpuInfo><gpus><item><manufacturer>NVIDIA</manufacturer><count>4</count></item></gpus></gpuInfo>
<neuronInfo><neuronDevices><item><count>2</count><coreInfo><count>8</count></coreInfo></item></neuronDevices></neuronInfo><instanceType>`)
	})
	w.altered("DescribeLaunchTemplateVersions", func(answer string) string {
		return strings.ReplaceAll(answer, "<launchTemplateData>", `<launchTemplateData><blockDeviceMappingSet><item><deviceName>/dev/xvda</deviceName><ebs><volumeSize>80</volumeSize></ebs></item></blockDeviceMappingSet>`)
	})
	groups, _ := w.groups(map[string]string{"swell/pool": "other"})
	a := groups[0].Template.Allocatable
	gpus, neurons, cores := a["nvidia.com/gpu"], a["aws.amazon.com/neuron"], a["aws.amazon.com/neuroncore"]
	if gpus.Value() != 4 || neurons.Value() != 2 || cores.Value() != 16 {
		t.Errorf("unexpected devices in %v", a)
	}
	if disk := a.StorageEphemeral().Value(); disk < 68<<30 || disk > 71<<30 { // 80 GiB less 2 %, 10 % and 1 GiB
		t.Errorf("%d bytes of disk, want about 69.6 GiB", disk)
	}
}

func TestSubnetsOutOfAddressesAreSeenBeforeALaunch(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Second)
	groups, problems := w.groups(general)
	g := groups[2]
	if g.FreeAddresses == nil || *g.FreeAddresses != 8 || !slices.Equal(g.Subnets, []string{"subnet-small"}) || len(problems) != 1 || problems[0].Group != g.Name {
		t.Fatalf("free addresses %v of %v, problems %v", g.FreeAddresses, g.Subnets, problems)
	}
	w.order("deny", emulator.Order{Fault: emulator.Fault{Action: "DescribeSubnets"}})
	fresh, err := aws.New(ctx, aws.Options{Region: "ap-northeast-1", Endpoint: w.url, Rate: 1000, Burst: 1000})
	if err != nil {
		t.Fatal(err)
	}
	groups, problems, err = fresh.Groups(ctx, general, "general")
	if err != nil || len(groups) != 3 || groups[2].FreeAddresses != nil || len(problems) != 1 || !strings.Contains(problems[0].String(), "ec2:DescribeSubnets") {
		t.Errorf("not permitted: %d groups, problems %v, %v; what is unknown must not be zero", len(groups), problems, err)
	}
}

func TestAnInstanceOfAnotherImageIsOutdated(t *testing.T) {
	w := newWorld(t)
	w.pass(10 * time.Minute)
	groups, _ := w.groups(general)
	i := groups[1].Instances[0]
	if i.Image == "" || i.Image != groups[1].Image || i.Outdated {
		t.Fatalf("unexpected instance %+v of image %s", i, groups[1].Image)
	}
	other, err := aws.New(ctx, aws.Options{Region: "ap-northeast-1", Endpoint: w.url, Rate: 1000, Burst: 1000})
	if err != nil {
		t.Fatal(err)
	}
	w.altered("DescribeLaunchTemplateVersions", func(answer string) string {
		return strings.ReplaceAll(answer, "<imageId>", "<imageId>ami-new-")
	})
	later, _, err := other.Groups(ctx, general, "general")
	if err != nil || !later[1].Instances[0].Outdated {
		t.Errorf("an instance of the image before is not outdated: %+v, %v", later[1].Instances, err)
	}
}

func TestReservationsAreReadOrNothingIsPrepaid(t *testing.T) {
	w := newWorld(t)
	w.pass(10 * time.Minute)
	answer := `<DescribeReservedInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservedInstancesSet>%s</reservedInstancesSet></DescribeReservedInstancesResponse>`
	item := `<item><reservedInstancesId>%s</reservedInstancesId><instanceType>m6i.4xlarge</instanceType><instanceCount>%d</instanceCount><state>%s</state>` +
		`<productDescription>%s</productDescription><scope>Region</scope><instanceTenancy>default</instanceTenancy></item>`
	w.instead = func(rw http.ResponseWriter, action, _ string) bool {
		if action != "DescribeReservedInstances" {
			return false
		}
		w.seen[action]++
		fmt.Fprintf(rw, answer, fmt.Sprintf(item, "r-1", 5, "active", "Linux/UNIX")+fmt.Sprintf(item, "r-2", 50, "retired", "Linux/UNIX")+fmt.Sprintf(item, "r-3", 70, "active", "Windows"))
		return true
	}
	for range 3 {
		groups, _ := w.prepaid()
		if groups[0].Prepaid != 5 || groups[1].Prepaid != 0 {
			t.Fatalf("%d and %d are prepaid, want 5 on demand and none on spot", groups[0].Prepaid, groups[1].Prepaid)
		}
	}
	if w.seen["DescribeReservedInstances"] != 1 {
		t.Errorf("%d calls, want one in five minutes", w.seen["DescribeReservedInstances"])
	}
	w2 := newWorld(t)
	w2.order("deny", emulator.Order{Fault: emulator.Fault{Action: "DescribeReservedInstances"}})
	groups, problems := w2.prepaid()
	if groups[0].Prepaid != 0 || !slices.ContainsFunc(problems, func(p aws.Problem) bool { return strings.Contains(p.What, "prepaid by reservations is unknown") }) {
		t.Errorf("problems %v", problems)
	}
}

// What a reading rests on is not read again with each: ten seconds apart they would else be the account's whole budget.
func TestAReadingTakesOneCallOnceTheRestIsKnown(t *testing.T) {
	w := newWorld(t)
	w.pass(10 * time.Minute)
	w.groups(general)
	before := map[string]int{}
	for k, v := range w.seen {
		before[k] = v
	}
	for range 5 {
		w.groups(general)
	}
	for action, n := range w.seen {
		want := 0
		if action == "DescribeAutoScalingGroups" {
			want = 5
		}
		if n-before[action] != want {
			t.Errorf("%s was called %d times in five readings, want %d", action, n-before[action], want)
		}
	}
}
