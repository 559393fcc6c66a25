package aws_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups/aws"
)

// What AWS says of a group that the emulator has no state for.
func TestAGroupThatCannotBePlannedForIsRefusedWithTheReason(t *testing.T) {
	after := func(name, xml string) func(string) string {
		return func(answer string) string {
			at := "<AutoScalingGroupName>" + name + "</AutoScalingGroupName>"
			return strings.Replace(answer, at, at+xml, 1)
		}
	}
	replaced := func(pattern, by string) func(string) string {
		return func(answer string) string { return regexp.MustCompile(pattern).ReplaceAllString(answer, by) }
	}
	override := func(xml string) func(string) string {
		return replaced(`<InstanceType>m5.4xlarge</InstanceType></member></Overrides>`, xml+`</member></Overrides>`)
	}
	percent := func(base, percent string) func(string) string {
		return func(answer string) string {
			answer = replaced(`<OnDemandBaseCapacity>0<`, `<OnDemandBaseCapacity>`+base+`<`)(answer)
			return replaced(`<OnDemandPercentageAboveBaseCapacity>0<`, `<OnDemandPercentageAboveBaseCapacity>`+percent+`<`)(answer)
		}
	}
	for name, c := range map[string]struct {
		group  string
		change func(string) string
		says   string
	}{
		"being deleted":             {"general-1a-spot", after("general-1a-spot", "<Status>Delete in progress</Status>"), "being deleted"},
		"counted in vCPUs":          {"general-1a-spot", after("general-1a-spot", "<DesiredCapacityType>vcpu</DesiredCapacityType>"), "counted in vcpu"},
		"counted in memory":         {"general-1a-spot", after("general-1a-spot", "<DesiredCapacityType>memory-mib</DesiredCapacityType>"), "counted in memory"},
		"launch configuration":      {"general-1a-spot", replaced(`(?s)(<AutoScalingGroupName>general-1a-spot</AutoScalingGroupName><AutoScalingGroupARN>[^<]*</AutoScalingGroupARN>)<LaunchTemplate>.*?</LaunchTemplate>`, `$1<LaunchConfigurationName>old</LaunchConfigurationName>`), "no launch template"},
		"requirements":              {"general-1c-spot", override(`<InstanceRequirements><VCpuCount><Min>4</Min></VCpuCount><MemoryMiB><Min>1</Min></MemoryMiB></InstanceRequirements>`), "by requirements"},
		"a template of an override": {"general-1c-spot", override(`<InstanceType>m5.4xlarge</InstanceType><LaunchTemplateSpecification><LaunchTemplateId>lt-1</LaunchTemplateId></LaunchTemplateSpecification>`), "template of its own"},
		"an image of an override":   {"general-1c-spot", override(`<InstanceType>m5.4xlarge</InstanceType><ImageId>ami-other</ImageId>`), "image of its own"},
		"a mix":                     {"general-1c-spot", percent("0", "50"), "mixes spot and on-demand"},
		"a base":                    {"general-1c-spot", percent("2", "0"), "mixes spot and on-demand"},
		"a mix that a tag denies": {"general-1c-spot", func(answer string) string {
			return strings.ReplaceAll(percent("0", "50")(answer), "<Tags>", "<Tags><member><Key>swell/market</Key><Value>spot</Value></member>")
		}, "mixes spot and on-demand"},
		"an unknown market": {"general-1a-spot", func(answer string) string {
			return replaced(`(?s)(<AutoScalingGroupName>general-1a-spot<.*?)<Tags>`, `$1<Tags><member><Key>swell/market</Key><Value>sport</Value></member>`)(answer)
		}, `is "sport"`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.pass(time.Second)
			w.altered("DescribeAutoScalingGroups", c.change)
			groups, problems := w.groups(general)
			at := slices.IndexFunc(problems, func(p aws.Problem) bool { return p.Group == c.group && strings.Contains(p.What, c.says) })
			refused := find(groups, c.group)
			if len(groups) != 2+min(1, len(refused.Instances)) || (c.group == "general-1a-spot") != (len(refused.Instances) == 2) || at < 0 || problems[at].Mend == "" ||
				len(refused.Instances) > 0 && refused.Unusable != problems[at].What {
				t.Errorf("%d groups and the problems %v", len(groups), problems)
			}
		})
	}
}

func TestGroupsOfAllPagesAreRead(t *testing.T) {
	w := newWorldOf(t, func(f *emulator.Fleet) {
		g := f.Groups[0]
		for range 101 {
			g.Name += "x"
			g.LaunchTemplate = g.Name
			f.Groups = append(f.Groups, g)
		}
	})
	w.pass(time.Second)
	if groups, _ := w.groups(general); len(groups) != 104 || w.seen["DescribeAutoScalingGroups"] != 2 {
		t.Errorf("%d groups by %d calls, want 104 by 2", len(groups), w.seen["DescribeAutoScalingGroups"])
	}
}

// EC2 takes at most 200 values of a filter, and 100 instance types.
func TestWhatEC2IsAskedForIsAskedInParts(t *testing.T) {
	w := newWorldOf(t, func(f *emulator.Fleet) {
		g := &f.Groups[0]
		g.Max, g.Desired = 450, 450
		for range 200 {
			f.Subnets["subnet-"+strings.Repeat("x", len(g.Subnets)+1)] = emulator.Subnet{Zone: g.Zone, Addresses: 4}
			g.Subnets = append(g.Subnets, "subnet-"+strings.Repeat("x", len(g.Subnets)+1))
		}
		for len(g.InstanceTypes) < 102 { // of which another group has one
			name := "m6i." + strings.Repeat("x", len(g.InstanceTypes)) + "large"
			f.InstanceTypes[name], f.Prices[name] = f.InstanceTypes["m6i.4xlarge"], f.Prices["m6i.4xlarge"]
			g.InstanceTypes = append(g.InstanceTypes, name)
		}
	})
	w.pass(10 * time.Minute)
	groups, _ := w.groups(general)
	g := groups[1]
	if len(g.Instances) != 450 || len(g.Templates) != 102 || len(g.Subnets) < 200 || g.FreeAddresses == nil {
		t.Fatalf("%d instances, %d templates, %d subnets", len(g.Instances), len(g.Templates), len(g.Subnets))
	}
	for _, i := range g.Instances {
		if i.LaunchedAt.IsZero() {
			t.Fatalf("the launch time of %s is not known", i.ID)
		}
	}
}
