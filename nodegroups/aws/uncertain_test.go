package aws_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups"
	client "swell/nodegroups/aws"
)

// say answers an action of Auto Scaling with an error.
func (w *world) say(action, code string, status int) {
	w.instead = func(rw http.ResponseWriter, called, _ string) bool {
		if called != action {
			return false
		}
		w.mu.Lock()
		w.seen[action]++
		w.mu.Unlock()
		rw.WriteHeader(status)
		fmt.Fprintf(rw, `<ErrorResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><Error><Type>Receiver</Type><Code>%s</Code><Message>it is so</Message></Error><RequestId>r</RequestId></ErrorResponse>`, code)
		return true
	}
}

func TestACallThatMayHaveHadItsEffectIsNoFailure(t *testing.T) {
	for name, c := range map[string]struct {
		code   string
		status int
		unsure bool
	}{
		"the same call goes on":    {"IdempotentCallInProgress", 409, true},
		"another writer is there":  {"ResourceContention", 500, true},
		"a fault of the service's": {"InternalFailure", 500, true},
		"it is not available":      {"ServiceUnavailable", 503, true},
		"a throttle":               {"Throttling", 400, false},
		"a throttle by 503":        {"RequestLimitExceeded", 503, false},
		"a refusal":                {"ValidationError", 400, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *client.Options) { o.Attempts = 1 })
			w.pass(time.Second)
			w.say("LaunchInstances", c.code, c.status)
			r, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 1, "t")
			if c.unsure != (err != nil) || c.unsure == (len(r.Failures) == 1) {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

func TestARegionWithoutTheCallFallsBackToTheRaise(t *testing.T) {
	for _, code := range []string{"InvalidAction", "UnknownOperationException", "AccessDenied", "AccessDeniedException", "UnauthorizedOperation"} {
		w := newWorld(t)
		w.pass(time.Second)
		w.say("LaunchInstances", code, 400)
		if r, err := w.c.Launch(ctx, "general-1a-spot", "ap-northeast-1a", 3, "t"); err != nil || r.RaiseTo != 5 || len(r.Failures) > 0 {
			t.Errorf("%s: got %+v, %v", code, r, err)
		}
	}
}

func TestARaiseDoesNotWaitForTheCooldown(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Second)
	for n := range 2 {
		if r, err := w.c.Raise(ctx, "general-1a-spot", 3+n); err != nil || r.Raised != 1 {
			t.Fatalf("raise %d: %+v, %v", n, r, err)
		}
	}
}

func TestTheBudgetNeverFallsToNothing(t *testing.T) {
	w := newWorld(t, func(o *client.Options) { o.Attempts = 1 })
	w.order("throttle", emulator.Order{Fault: emulator.Fault{Share: 1}})
	for range 20 {
		_, _, _ = w.c.Groups(ctx, general, "general")
	}
	if got := w.c.Budget(); got != 1000.0/16 {
		t.Errorf("the budget is %g, want a sixteenth of 1000", got)
	}
}

func TestATypeThatAZoneDoesNotOfferIsNoBrokenTemplate(t *testing.T) {
	for _, c := range []struct {
		code, message string
		want          nodegroups.FailureClass
	}{
		{"InvalidFleetConfiguration", "Your requested instance type (c5.large) is not supported in your requested Availability Zone (us-east-1e).", nodegroups.NoCapacity},
		{"Client.InvalidFleetConfiguration", "Your requested instance type (c5.large) is not supported in your requested Availability Zone (us-east-1e).", nodegroups.NoCapacity},
		{"Client.InvalidFleetConfiguration", "The fleet configuration contains duplicate instance pools", nodegroups.BadTemplate},
		{"Unsupported", "Your requested instance type (c5.large) is not supported in your requested Availability Zone (us-east-1e).", nodegroups.NoCapacity},
		{"InvalidFleetConfiguration", "The fleet configuration contains duplicate instance pools", nodegroups.BadTemplate},
		{"UnsupportedOperation", "Auto Scaling groups with warm pools are not supported.", nodegroups.Unclassified},
		{"Client.InternalError", "Client error on launch", nodegroups.NotAllowed},
		{"InternalError", "", nodegroups.Unclassified},
		{"Server.InternalError", "", nodegroups.Unclassified},
		{"InvalidKMSKey.InvalidState", "The KMS key provided is in an incorrect state", nodegroups.NotAllowed},
		{"ExpiredToken", "The security token included in the request is expired", nodegroups.NotKnown},
	} {
		if got := client.Classify(c.code, c.message); got != c.want {
			t.Errorf("%s %q is %s, want %s", c.code, c.message, got, c.want)
		}
	}
}

// One reservation of an 8xlarge pays for two 4xlarge only where it holds in the whole region and for default tenancy.
func TestOnlyRegionalReservationsOfDefaultTenancyPayForOtherSizes(t *testing.T) {
	for name, c := range map[string]struct {
		reserved emulator.Reserved
		want     int
	}{
		"regional":  {emulator.Reserved{}, 2},
		"zonal":     {emulator.Reserved{Zone: "ap-northeast-1a"}, 0},
		"dedicated": {emulator.Reserved{Tenancy: "dedicated"}, 0},
		"no zone":   {emulator.Reserved{Zone: "ap-northeast-1a"}, 0},
	} {
		w := newWorldOf(t, func(f *emulator.Fleet) {
			c.reserved.Type, c.reserved.Count = "m6i.8xlarge", 1
			f.Reserved = []emulator.Reserved{c.reserved}
		})
		w.pass(time.Minute)
		if name == "no zone" {
			w.altered("DescribeReservedInstances", func(answer string) string {
				return strings.ReplaceAll(answer, "<availabilityZone>ap-northeast-1a</availabilityZone>", "")
			})
		}
		groups, problems := w.prepaid()
		if groups[0].Prepaid != c.want {
			t.Errorf("%s: %d are prepaid, want %d; problems %v", name, groups[0].Prepaid, c.want, problems)
		}
	}
}

// What a group lacks of its desired capacity it launches by itself, in the zone that has the fewest.
func TestWhatAGroupOfSeveralZonesRepairsByItselfIsOnItsWayThere(t *testing.T) {
	w := newWorldOf(t, func(f *emulator.Fleet) {
		f.RepairAfter = time.Hour
		for i := range f.Groups {
			if f.Groups[i].Name == "wide" {
				f.Groups[i].Max, f.Groups[i].Desired = 10, 4
			}
		}
	})
	w.pass(time.Minute)
	desired := func() string {
		groups, _ := w.selected(wide)
		var out []string
		for _, g := range groups {
			out = append(out, fmt.Sprintf("%s %d of %d", strings.TrimPrefix(g.Zone, "ap-northeast-"), g.Alive(), g.Desired))
		}
		return strings.Join(out, ", ")
	}
	if got := desired(); got != "1a 2 of 2, 1c 2 of 2" {
		t.Fatal(got)
	}
	groups, _ := w.selected(wide)
	w.callEC2("TerminateInstances", "InstanceId.1="+groups[1].Instances[0].ID)
	w.pass(time.Minute)
	if got := desired(); got != "1a 2 of 2, 1c 1 of 2" {
		t.Errorf("after one ended in 1c: %s", got)
	}
	// what was launched by token and is not listed yet is in the zone that was asked for
	r, err := w.c.Launch(ctx, "wide@ap-northeast-1a", "ap-northeast-1a", 2, "t")
	if err != nil || len(r.Instances) != 2 {
		t.Fatalf("got %+v, %v", r, err)
	}
	w.altered("DescribeAutoScalingGroups", func(answer string) string {
		for _, i := range r.Instances {
			start := strings.Index(answer, "<member><InstanceId>"+i.ID)
			end := start + strings.Index(answer[start:], "</member>") + len("</member>")
			answer = answer[:start] + answer[end:]
		}
		return answer
	})
	if got := desired(); got != "1a 2 of 2, 1c 1 of 2" {
		t.Errorf("with a launch that is not listed: %s", got)
	}
}

func TestNoticesOfNoLossAreLetGo(t *testing.T) {
	state := `{"detail-type":"EC2 Instance State-change Notification","time":"2026-03-02T09:00:00Z","detail":{"instance-id":"i-1","state":%q}}`
	health := `{"detail-type":"AWS Health Event","time":"2026-03-02T09:00:00Z","detail":{"service":"EC2","eventTypeCode":"AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED","eventTypeCategory":"scheduledChange","statusCode":%q,"affectedEntities":[{"entityValue":"i-1"}]}}`
	for body, want := range map[string]nodegroups.InterruptionKind{
		fmt.Sprintf(state, "pending"): "", fmt.Sprintf(state, "running"): "",
		fmt.Sprintf(state, "stopping"): nodegroups.InstanceTerminating, fmt.Sprintf(state, "stopped"): nodegroups.InstanceTerminating,
		fmt.Sprintf(state, "shutting-down"): nodegroups.InstanceTerminating, fmt.Sprintf(state, "terminated"): nodegroups.InstanceTerminating,
		fmt.Sprintf(health, "open"): nodegroups.Maintenance, fmt.Sprintf(health, "upcoming"): nodegroups.Maintenance, fmt.Sprintf(health, "closed"): "",
	} {
		w := newWorld(t)
		w.send(body)
		got, err := w.c.Interruptions(ctx)
		if err != nil || want == "" && len(got) != 0 || want != "" && (len(got) != 1 || got[0].Kind != want || got[0].InstanceID != "i-1") {
			t.Errorf("%s gives %+v, %v", body, got, err)
		}
		if left := w.e.Status().Messages; want == "" && left != 0 {
			t.Errorf("%s stays in the queue", body)
		}
	}
}
