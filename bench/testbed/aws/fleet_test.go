package aws_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	emulator "swell/bench/testbed/aws"
)

func TestFleetErrorsNameFileFieldAndMend(t *testing.T) {
	good, err := os.ReadFile("testdata/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"unknown field":        {"market: spot, min: 0, max: 20, desired: 2", "markt: spot, min: 0, max: 20", "line 4: field markt not found"},
		"wrong market":         {"market: spot, min: 0, max: 20, desired: 2", "market: cheap, max: 20", `groups[0].market of general-1a-spot is "cheap": give spot, on-demand or mixed`},
		"max below min":        {"min: 1, max: 120", "min: 3, max: 2", "groups[1].max of general-1a-on-demand"},
		"no price":             {"  m6i.4xlarge: {onDemand: 0.992, spot: 0.31}", "", "add prices.m6i.4xlarge.onDemand and .spot"},
		"zone of elsewhere":    {"zone: ap-northeast-1a, market: spot", "zone: us-east-1a, market: spot", "groups[0].zone"},
		"duration, no unit":    {"p50: 50s", "p50: 50", "line 17: cannot unmarshal"},
		"negative duration":    {"compression: 1", "inServiceAfter: -1s", "inServiceAfter is -1s"},
		"duration too short":   {"p50: 50s", "p50: 50ms", "boot.ap-northeast-1a has p50 50ms"},
		"same name":            {"name: wide", "name: other-1d", "groups[4].name"},
		"wrong taint":          {"dedicated=general:NoSchedule", "dedicated", "write key=value:NoSchedule"},
		"subnet of other zone": {"subnets: [subnet-small]", "subnets: [subnet-ap-northeast-1a]", "groups[2].subnets"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := strings.Replace(string(good), c.old, c.new, 1)
			if bad == string(good) {
				t.Fatal("the test changes nothing")
			}
			path := filepath.Join(t.TempDir(), "fleet.yaml")
			if err := os.WriteFile(path, []byte(bad), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := emulator.ReadFleet(path)
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want the file and %q", err, c.want)
			}
		})
	}
}

func TestMainRefusesBadUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"--fleet", "x"}, {"--dir", t.TempDir(), "--fleet", "testdata/none.yaml"},
		{"--dir", t.TempDir(), "--fleet", "testdata/fleet.yaml", "--listen", "0.0.0.0:0"}, {"--nonsense"}} {
		if code := emulator.Main(args); code != 2 {
			t.Errorf("%v exits %d, want 2", args, code)
		}
	}
}
