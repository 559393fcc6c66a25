package plan

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"swell/nodegroups"
)

var update = flag.Bool("update", false, "rewrite the timelines under testdata")

// TestTimelines plays the scripts under testdata: lines that start with a word are commands, those that start
// with a space are what the planner answered.
func TestTimelines(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no timelines under testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(script))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(script) {
				t.Errorf("%s is not what was planned; -update rewrites it. Planned:\n%s", file, got)
			}
		})
	}
}

func play(t *testing.T, script string) string {
	t.Helper()
	c := newCluster(testPool())
	var out strings.Builder
	var last Plan
	lines := bufio.NewScanner(strings.NewReader(script))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, " ") {
			continue
		}
		out.WriteString(line + "\n")
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		if f[0] == "plan" {
			last = c.plan()
			out.WriteString(text(last))
			continue
		}
		if err := c.command(f[0], f[1:], last); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
	}
	return out.String()
}

// command carries out one line of a script.
func (c *cluster) command(verb string, f []string, last Plan) error {
	num := func(i int) int { n, _ := strconv.Atoi(f[i]); return n }
	opt := func(i int) string {
		if i < len(f) {
			return f[i]
		}
		return ""
	}
	switch verb {
	case "pool": // key=value
		return c.setPool(f)
	case "group": // zone market price max
		price, _ := strconv.ParseFloat(f[2], 64)
		c.group(f[0], nodegroups.Market(f[1]), price, func(g *nodegroups.Group) { g.Max = num(3) })
	case "up": // group n
		c.up(f[0], num(1))
	case "pods": // app n cpu [node]
		c.pods(f[0], num(1), f[2], opt(3))
	case "promise": // app n cpu
		c.promise(f[0], num(1), f[2])
	case "kept": // the promise
		c.s.Promised = nil
	case "want": // balloon zone n cpu
		c.want(f[0], f[1], num(2), f[3])
	case "balloons": // balloon zone n cpu [node]
		c.balloons(f[0], f[1], num(2), f[3], opt(4))
	case "at": // HH:MM:SS
		at, err := time.Parse("15:04:05", f[0])
		c.now = time.Date(2026, 11, 23, at.Hour(), at.Minute(), at.Second(), 0, time.UTC)
		return err
	case "carry": // the last plan out
		c.carry(last)
	case "boot":
		c.boot()
	case "bind":
		c.bind()
	case "leave": // app n: pods that end
		n := num(1)
		var kept []*corev1.Pod
		for _, p := range c.s.Pods {
			if p.Labels["app"] == f[0] && n > 0 {
				n--
				continue
			}
			kept = append(kept, p)
		}
		c.s.Pods = kept
	case "no-capacity": // group
		c.s.Unavailable = append(c.s.Unavailable, nodegroups.Unavailable{Group: f[0], Class: nodegroups.NoCapacity, Until: c.now.Add(5 * time.Minute), Reason: "InsufficientInstanceCapacity"})
	case "interrupt": // instance
		c.s.Interrupted = append(c.s.Interrupted, nodegroups.Interruption{InstanceID: f[0], Kind: nodegroups.SpotInterruption, At: c.now, Deadline: c.now.Add(2 * time.Minute)})
	default:
		return fmt.Errorf("there is no such command")
	}
	return nil
}

func (c *cluster) setPool(pairs []string) error {
	p := &c.policy.Pools[0]
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		number, _ := strconv.ParseFloat(value, 64)
		switch key {
		case "base":
			p.OnDemandBase = int(number)
		case "spot":
			p.SpotMax = number
		case "min":
			p.MinNodesPerZone = int(number)
		case "max":
			p.MaxNodes = int(number)
		case "cost":
			p.MaxHourlyCost = number
		case "observe":
			p.Observe = value == "true"
		case "freeze":
			p.Freeze = Freeze{Until: c.now.Add(time.Hour), Reason: value}
		case "hold":
			p.Holds = []Hold{{Zone: value, Nodes: 3, Until: c.now.Add(time.Hour)}}
		default:
			return fmt.Errorf("there is no such setting %s", key)
		}
	}
	return nil
}
