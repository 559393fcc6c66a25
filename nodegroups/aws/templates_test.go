package aws_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups"
	"swell/nodegroups/aws"
)

const (
	oldImage = "ami-0123456789abcdef0"
	newImage = "ami-0fedcba9876543210"
	alias    = "resolve:ssm:/images/node"
)

// byParameter makes the image of general-1a-spot a parameter of Systems Manager.
func byParameter(f *emulator.Fleet) {
	f.Groups[0].Image, f.Parameters = alias, map[string]string{"/images/node": newImage}
}

func TestAnImageThatIsAParameterIsTheImageThatItStandsFor(t *testing.T) {
	w := newWorldOf(t, byParameter)
	w.pass(10 * time.Minute)
	groups, problems := w.groups(general)
	g := groups[1]
	if g.Image != newImage || g.Instances[0].Image != newImage || g.Instances[0].Outdated || len(problems) != 1 {
		t.Errorf("group image %q, instance %+v, problems %v", g.Image, g.Instances[0], problems)
	}
}

// What cannot be read is unknown, not different: else every instance would be replaced.
func TestAParameterThatMayNotBeReadIsAProblemAndOutdatesNothing(t *testing.T) {
	w := newWorldOf(t, byParameter)
	w.pass(10 * time.Minute)
	w.order("deny", emulator.Order{Fault: emulator.Fault{Service: "ssm", Action: "GetParameters"}})
	groups, problems := w.groups(general)
	g := groups[1]
	if g.Image != "" || g.Instances[0].Image != newImage || g.Instances[0].Outdated {
		t.Errorf("group image %q, instance %+v", g.Image, g.Instances[0])
	}
	if len(problems) != 2 || problems[0].Group != g.Name || !strings.Contains(problems[0].String(), alias) || !strings.Contains(problems[0].Mend, "ssm:GetParameters") {
		t.Errorf("problems %v", problems)
	}
}

func TestAGroupWithoutATemplateVersionLaunchesTheDefaultOne(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Second)
	w.order("template", emulator.Order{Template: "general-1a-spot", Image: newImage})
	w.altered("DescribeAutoScalingGroups", func(answer string) string { return strings.ReplaceAll(answer, "<Version>$Default</Version>", "") })
	groups, _ := w.groups(general)
	if groups[1].Image != oldImage {
		t.Errorf("image %s before the new version is the default", groups[1].Image)
	}
	w.callEC2("ModifyLaunchTemplate", "LaunchTemplateName=general-1a-spot&SetDefaultVersion=2")
	groups, _, err := w.another().Groups(ctx, general, "general")
	if err != nil || groups[1].Image != newImage {
		t.Errorf("image %s once it is: %v", groups[1].Image, err)
	}
}

// The user data of a version may have changed with the same image.
func TestAnInstanceOfAnotherTemplateVersionIsOutdated(t *testing.T) {
	w := newWorldOf(t, func(f *emulator.Fleet) { f.Groups[0].TemplateVersion = "$Latest" })
	w.pass(10 * time.Minute)
	w.order("template", emulator.Order{Template: "general-1a-spot", Image: oldImage})
	w.order("template", emulator.Order{Template: "general-1a-on-demand", Image: oldImage})
	groups, _ := w.groups(general)
	if !groups[1].Instances[0].Outdated {
		t.Errorf("%+v is of version 1, and the group launches version 2", groups[1].Instances[0])
	}
	if groups[0].Instances[0].Outdated {
		t.Errorf("%+v is of the default version, as what the group launches", groups[0].Instances[0])
	}
}

// ofType changes what EC2 says of one instance type.
func (w *world) ofType(name, old, by string) {
	w.altered("DescribeInstanceTypes", func(answer string) string {
		parts := strings.Split(answer, "<instanceType>")
		for i, p := range parts {
			if strings.HasPrefix(p, name+"<") {
				parts[i] = strings.Replace(p, old, by, 1)
			}
		}
		return strings.Join(parts, "<instanceType>")
	})
}

func TestTheArchitectureIsThatOfTheTypes(t *testing.T) {
	w := newWorld(t)
	w.ofType("m5.4xlarge", "<item>x86_64</item>", "<item>arm64</item>")
	other, _ := w.groups(map[string]string{"swell/pool": "other"})
	if got := other[0].Template.Labels[corev1.LabelArchStable]; got != "arm64" {
		t.Errorf("architecture %q", got)
	}
	groups, problems := w.groups(general) // general-1c-spot has both
	if len(groups) != 2 || groups[0].Template.Labels[corev1.LabelArchStable] != "amd64" || len(problems) != 1 || !strings.Contains(problems[0].What, "different architectures") {
		t.Errorf("%d groups and the problems %v", len(groups), problems)
	}
}

func TestAcceleratorsHaveTheNameOfTheirMakersPlugin(t *testing.T) {
	for maker, resource := range map[string]corev1.ResourceName{"NVIDIA": "nvidia.com/gpu", "AMD": "amd.com/gpu", "Habana": "habana.ai/gaudi"} {
		w := newWorld(t)
		w.ofType("m5.4xlarge", "</memoryInfo>", "</memoryInfo><gpuInfo><gpus><item><manufacturer>"+maker+"</manufacturer><count>4</count></item></gpus></gpuInfo>")
		groups, _ := w.groups(map[string]string{"swell/pool": "other"})
		if n := groups[0].Template.Allocatable[resource]; n.Value() != 4 {
			t.Errorf("%s: %v", maker, groups[0].Template.Allocatable)
		}
	}
}

// Bottlerocket's root is small, and its pods live on a data volume; elsewhere a second volume is nothing of kubelet's.
func TestTheVolumeThatPodsLiveOnIsCounted(t *testing.T) {
	for name, c := range map[string]struct {
		root, data  string
		least, most int64
	}{"Bottlerocket": {"4", "100", 86 << 30, 88 << 30}, "a second volume": {"50", "100", 42 << 30, 44 << 30}} {
		w := newWorld(t)
		w.altered("DescribeLaunchTemplateVersions", func(answer string) string {
			item := func(device, size string) string {
				return "<item><deviceName>" + device + "</deviceName><ebs><volumeSize>" + size + "</volumeSize></ebs></item>"
			}
			return strings.ReplaceAll(answer, "<launchTemplateData>", "<launchTemplateData><blockDeviceMappingSet>"+item("/dev/xvda", c.root)+item("/dev/xvdb", c.data)+"</blockDeviceMappingSet>")
		})
		groups, _ := w.groups(map[string]string{"swell/pool": "other"})
		if got := groups[0].Template.Allocatable.StorageEphemeral().Value(); got < c.least || got > c.most {
			t.Errorf("%s: %d bytes, want %d to %d", name, got, c.least, c.most)
		}
	}
}

// ka#3845: volumes of the EBS driver name its own zone label, which no node shows of a group at zero.
func TestATemplateHasTheEBSDriversZone(t *testing.T) {
	w := newWorld(t)
	groups, _ := w.groups(general)
	spanning, _ := w.selected(wide)
	for _, g := range append(groups, spanning...) {
		for _, template := range append([]nodegroups.Template{g.Template}, g.TemplateOf(g.InstanceTypes[0])) {
			if template.Labels["topology.ebs.csi.aws.com/zone"] != g.Zone || template.Labels[corev1.LabelTopologyZone] != g.Zone || g.Zone == "" {
				t.Errorf("%s in %s: labels %v", g.Name, g.Zone, template.Labels)
			}
		}
	}
}

// another client of the same account, which has read nothing yet.
func (w *world) another() *aws.Client {
	w.t.Helper()
	c, err := aws.New(ctx, aws.Options{Region: "ap-northeast-1", Endpoint: w.url, Rate: 1000, Burst: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// EKS puts these labels on each node of a managed node group; the group's tags say which it is.
func TestAManagedNodeGroupsLabelsAreThoseOfItsNodes(t *testing.T) {
	w := newWorldOf(t, func(f *emulator.Fleet) {
		for i := range f.Groups[:2] {
			f.Groups[i].Tags["eks:nodegroup-name"], f.Groups[i].Tags["eks:cluster-name"] = "workers", "green"
		}
	})
	groups, _ := w.groups(general)
	for name, want := range map[string]string{"general-1a-spot": "SPOT", "general-1a-on-demand": "ON_DEMAND"} {
		l := find(groups, name).Template.Labels
		if l["eks.amazonaws.com/capacityType"] != want || l["eks.amazonaws.com/nodegroup"] != "workers" {
			t.Errorf("%s: %v", name, l)
		}
	}
	if l := find(groups, "general-1c-spot").Template.Labels; l["eks.amazonaws.com/capacityType"] != "" {
		t.Errorf("a group of nobody's node group has %v", l)
	}
}

// What a node takes of its subnets is an interface's addresses, or what the group's tag says.
func TestAddressesOfANode(t *testing.T) {
	for tag, want := range map[string]int{"": 30, "1": 1, "none": 30} {
		w := newWorldOf(t, func(f *emulator.Fleet) {
			if tag != "" {
				f.Groups[2].Tags["swell/addresses-per-node"] = tag
			}
		})
		groups, problems := w.groups(general)
		if g := find(groups, "general-1c-spot"); g.AddressesPerNode != want || g.FreeAddresses == nil || *g.FreeAddresses != 8 {
			t.Errorf("tag %q: a node takes %d of %v, want %d of 8", tag, g.AddressesPerNode, g.FreeAddresses, want)
		}
		told := slices.ContainsFunc(problems, func(p aws.Problem) bool { return strings.Contains(p.What, `swell/addresses-per-node is "none"`) })
		if short := slices.ContainsFunc(problems, func(p aws.Problem) bool { return strings.Contains(p.What, "8 free addresses") }); short != (want > 8) || told != (tag == "none") {
			t.Errorf("tag %q: problems %v", tag, problems)
		}
	}
}
