package aws_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups"
	"swell/nodegroups/aws"
)

func find(groups []nodegroups.Group, name string) nodegroups.Group {
	if i := slices.IndexFunc(groups, func(g nodegroups.Group) bool { return g.Name == name }); i >= 0 {
		return groups[i]
	}
	return nodegroups.Group{}
}

// ka#6795: running instances count for limits, floors, interruptions and hooks, whatever is wrong with what would be launched next.
func TestAGroupThatBecomesUnusableKeepsItsInstances(t *testing.T) {
	tagged := func(name, key, value string) func(string) string {
		return func(answer string) string {
			return regexp.MustCompile(`(?s)(<AutoScalingGroupName>`+name+`<.*?)<Tags>`).ReplaceAllString(answer, `$1<Tags><member><Key>`+key+`</Key><Value>`+value+`</Value></member>`)
		}
	}
	for name, c := range map[string]struct {
		action string
		change func(string) string
		says   string
	}{
		"a mistyped taint": {"DescribeAutoScalingGroups", tagged("general-1a-spot", "k8s.io/cluster-autoscaler/node-template/taint/x", "y:NoSchedul"), "NoSchedul"},
		"a warm pool": {"DescribeAutoScalingGroups", func(answer string) string {
			at := "<AutoScalingGroupName>general-1a-spot</AutoScalingGroupName>"
			return strings.Replace(answer, at, at+"<WarmPoolConfiguration><MinSize>0</MinSize></WarmPoolConfiguration>", 1)
		}, "warm pool"},
		"a second subnet": {"DescribeAutoScalingGroups", func(answer string) string {
			return regexp.MustCompile(`(?s)(<AutoScalingGroupName>general-1a-spot<.*?<AvailabilityZones>)`).ReplaceAllString(answer, `$1<member>ap-northeast-1c</member>`)
		}, "spans the zones"},
		"no launch template any more": {"DescribeLaunchTemplateVersions", func(answer string) string {
			return regexp.MustCompile(`(?s)<launchTemplateVersionSet>.*</launchTemplateVersionSet>`).ReplaceAllString(answer, `<launchTemplateVersionSet/>`)
		}, "launch template"},
	} {
		for _, restarted := range []bool{false, true} {
			w := newWorld(t)
			w.pass(3 * time.Minute)
			before, _ := w.groups(general)
			was := find(before, "general-1a-spot")
			w.c.Age(time.Hour) // what is cached
			if restarted {
				w.c, _ = aws.New(ctx, w.options)
			}
			w.altered(c.action, c.change)
			groups, problems := w.groups(general)
			g := find(groups, "general-1a-spot")
			if !strings.Contains(g.Unusable, c.says) || len(g.Instances) != 2 || g.Alive() != 2 || g.Desired != 2 || g.Max != 20 || g.Instances[0].LaunchedAt.IsZero() {
				t.Errorf("%s, restarted %v: got %+v; problems %v", name, restarted, g, problems)
			}
			if g.Zone != was.Zone || g.Market != was.Market || !slices.Equal(g.InstanceTypes, was.InstanceTypes) || g.HourlyPrice != was.HourlyPrice {
				t.Errorf("%s, restarted %v: %s %s %v at %v, want what it was", name, restarted, g.Zone, g.Market, g.InstanceTypes, g.HourlyPrice)
			}
			if !restarted && g.Template.Allocatable.Cpu().Cmp(*was.Template.Allocatable.Cpu()) != 0 {
				t.Errorf("%s: the template is %v, was %v", name, g.Template, was.Template)
			}
			if !slices.ContainsFunc(problems, func(p aws.Problem) bool { return p.Group == "general-1a-spot" && p.What == g.Unusable && p.Mend != "" }) {
				t.Errorf("%s, restarted %v: problems %v", name, restarted, problems)
			}
		}
	}
}

// Each zone's instances count in their own zone.
func TestAnUnusableGroupWithInstancesInTwoZonesIsReadByZone(t *testing.T) {
	w := newWorldOf(t, func(f *emulator.Fleet) {
		for i := range f.Groups {
			if f.Groups[i].Name == "wide" {
				f.Groups[i].Desired = 4
			}
		}
	})
	w.pass(10 * time.Minute)
	groups, problems := w.groups(map[string]string{"swell/pool": "wide"})
	if len(groups) != 2 || len(problems) != 1 || groups[0].Name != "wide@ap-northeast-1a" || groups[0].Alive() != 2 || groups[1].Alive() != 2 || groups[1].ASG != "wide" ||
		groups[0].Unusable == "" || groups[0].Market != nodegroups.OnDemand {
		t.Errorf("got %+v, problems %v", groups, problems)
	}
	// suspended by hand and resumed by another, and swell may not suspend it: its instances stay
	w.order("deny", emulator.Order{Fault: emulator.Fault{Action: "SuspendProcesses"}})
	groups, _ = w.selected(wide)
	if len(groups) != 2 || groups[0].Unusable == "" || groups[1].Alive() != 2 {
		t.Errorf("got %+v", groups)
	}
}

// Taking the pool's tag off the last group is how it is taken from swell.
func TestNoGroupIsAnEmptyReadingWithAProblem(t *testing.T) {
	w := newWorld(t)
	groups, problems := w.groups(map[string]string{"swell/pool": "typo", "team": "x"})
	if len(groups) != 0 || len(problems) != 1 || !strings.Contains(problems[0].What, "swell/pool=typo, team=x") || !strings.Contains(problems[0].Mend, "CapacityPool") {
		t.Errorf("%v, problems %v", groups, problems)
	}
}
