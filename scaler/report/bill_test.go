package report_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	emulator "swell/bench/testbed/aws"
	"swell/nodegroups/aws"
	"swell/scaler/ledger"
	"swell/scaler/plan"
	"swell/scaler/record"
	"swell/scaler/report"
)

const fleet = `
region: ap-northeast-1
compression: 1
groups:
- {name: general-1a-spot, zone: ap-northeast-1a, market: spot, min: 0, max: 20, desired: 2, instanceTypes: [m6i.4xlarge], tags: {swell/pool: general}}
- {name: general-1a-on-demand, zone: ap-northeast-1a, market: on-demand, min: 1, max: 20, instanceTypes: [m6i.4xlarge], tags: {swell/pool: general}}
- {name: mixed-1d-spot, zone: ap-northeast-1d, market: spot, min: 0, max: 20, instanceTypes: [m6i.4xlarge, m5.4xlarge], tags: {swell/pool: mixed}}
- {name: general-1c-spot, zone: ap-northeast-1c, market: spot, min: 0, max: 20, instanceTypes: [m5.4xlarge], tags: {swell/pool: general}}
instanceTypes:
  m6i.4xlarge: {vcpu: 16, memoryMiB: 65536, allocatable: {cpu: 15500m, memory: 58Gi, pods: "110"}}
  m5.4xlarge: {vcpu: 16, memoryMiB: 65536, allocatable: {cpu: 15500m, memory: 58Gi, pods: "110"}}
prices:
  m6i.4xlarge: {onDemand: 0.992, spot: 0.3107}
  m5.4xlarge: {onDemand: 0.992, spot: 0.3319}
`

// account is an emulator under a clock of the test, spoken to over HTTP by AWS's own clients, and a ledger of what they say.
type account struct {
	t   *testing.T
	dir string
	e   *emulator.Emulator
	url string
	mu  sync.Mutex
	now time.Time

	as      *autoscaling.Client
	ec2     *ec2.Client
	entries []ledger.Entry
	tokens  map[string]string // by instance
	// unrecorded instances are kept out of the ledger.
	unrecorded map[string]bool
}

func newAccount(t *testing.T) *account { t.Helper(); return newAccountOf(t, fleet) }

func newAccountOf(t *testing.T, fleet string) *account {
	t.Helper()
	a := &account{t: t, dir: t.TempDir(), now: time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC), tokens: map[string]string{}, unrecorded: map[string]bool{}}
	path := filepath.Join(a.dir, "fleet.yaml")
	a.must(os.WriteFile(path, []byte(fleet), 0o600))
	f, err := emulator.ReadFleet(path)
	a.must(err)
	a.e, err = emulator.New(emulator.Options{Fleet: f, Dir: a.dir, Seed: 7, Now: a.clock, Manual: true})
	a.must(err)
	t.Cleanup(a.e.Close)
	server := httptest.NewServer(a.e)
	t.Cleanup(server.Close)
	a.url = server.URL
	config := awssdk.Config{Region: "ap-northeast-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}
	a.as, a.ec2 = autoscaling.NewFromConfig(config), ec2.NewFromConfig(config)
	return a
}

func (a *account) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *account) clock() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

// pass lets time go by, a second at a time, and reads what AWS says every minute.
func (a *account) pass(d time.Duration) {
	for range int(d / time.Second) {
		a.mu.Lock()
		a.now = a.now.Add(time.Second)
		a.mu.Unlock()
		for next := a.e.Step(); !next.IsZero() && !next.After(a.clock()); next = a.e.Step() {
		}
		if a.clock().Second() == 0 {
			a.observe()
		}
	}
}

// launch asks for instances as swell does, by a token.
func (a *account) launch(group string, n int32, token string) []string {
	a.t.Helper()
	out, err := a.as.LaunchInstances(context.Background(), &autoscaling.LaunchInstancesInput{AutoScalingGroupName: &group, RequestedCapacity: &n, ClientToken: &token})
	a.must(err)
	var ids []string
	for _, i := range out.Instances {
		ids = append(ids, i.InstanceIds...)
	}
	for _, id := range ids {
		a.tokens[id] = token
	}
	return ids
}

func (a *account) terminate(id string) {
	a.t.Helper()
	_, err := a.as.TerminateInstanceInAutoScalingGroup(context.Background(), &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &id, ShouldDecrementDesiredCapacity: awssdk.Bool(true)})
	a.must(err)
}

func (a *account) desire(group string, n int32) {
	a.t.Helper()
	_, err := a.as.SetDesiredCapacity(context.Background(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &group, DesiredCapacity: &n})
	a.must(err)
}

func (a *account) interrupt(id string) {
	a.t.Helper()
	answer, err := http.Post(a.url+"/_control/interrupt", "application/json", strings.NewReader(`{"instances":["`+id+`"]}`))
	a.must(err)
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		a.t.Fatalf("interrupting %s: %s", id, answer.Status)
	}
}

// groupOf are the groups of the instances that DescribeAutoScalingInstances has.
func (a *account) groupOf() map[string]string {
	a.t.Helper()
	out := map[string]string{}
	pages := autoscaling.NewDescribeAutoScalingInstancesPaginator(a.as, &autoscaling.DescribeAutoScalingInstancesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		a.must(err)
		for _, i := range page.AutoScalingInstances {
			out[*i.InstanceId] = *i.AutoScalingGroupName
		}
	}
	return out
}

// ends are when scaling activities say that instances had ended.
func (a *account) ends() map[string]time.Time {
	a.t.Helper()
	out := map[string]time.Time{}
	pages := autoscaling.NewDescribeScalingActivitiesPaginator(a.as, &autoscaling.DescribeScalingActivitiesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		a.must(err)
		for _, one := range page.Activities {
			if id, ok := strings.CutPrefix(*one.Description, "Terminating EC2 instance: "); ok && one.EndTime != nil {
				out[id] = *one.EndTime
			}
		}
	}
	return out
}

// observe writes the ledger's entries of what AWS says now.
func (a *account) observe() {
	a.t.Helper()
	groups, ends := a.groupOf(), a.ends()
	known := map[string]ledger.Instance{}
	for _, e := range a.entries {
		if e.Instance != nil {
			known[e.Instance.ID] = *e.Instance
		}
	}
	out, err := a.ec2.DescribeInstances(context.Background(), &ec2.DescribeInstancesInput{})
	a.must(err)
	spot := a.spotPrices()
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			is, seen := known[*i.InstanceId]
			if a.unrecorded[*i.InstanceId] || seen && is.GoneAt != nil {
				continue
			}
			list := 0.992
			is.ID, is.Type, is.Zone, is.LaunchedAt, is.Pool = *i.InstanceId, string(i.InstanceType), *i.Placement.AvailabilityZone, *i.LaunchTime, "general"
			is.Market, is.OnDemandHourly, is.Hourly, is.Token = "on-demand", &list, &list, a.tokens[is.ID]
			if i.InstanceLifecycle == ec2types.InstanceLifecycleTypeSpot {
				price := spot[is.Type+is.Zone]
				is.Market, is.Hourly = "spot", &price
			}
			if g := groups[is.ID]; g != "" {
				is.Group = g
			}
			end, gone := ends[is.ID]
			if gone {
				is.GoneAt = &end
			}
			if !seen || gone {
				a.entries = append(a.entries, ledger.Entry{At: a.clock(), Model: a.clock(), Phase: ledger.Note, Action: "instance", Object: is.ID, Instance: &is})
			}
		}
	}
}

func (a *account) spotPrices() map[string]float64 {
	a.t.Helper()
	out := map[string]float64{}
	page, err := a.ec2.DescribeSpotPriceHistory(context.Background(), &ec2.DescribeSpotPriceHistoryInput{})
	a.must(err)
	for _, p := range page.SpotPriceHistory {
		v, err := strconv.ParseFloat(*p.SpotPrice, 64)
		a.must(err)
		out[string(p.InstanceType)+*p.AvailabilityZone] = v
	}
	return out
}

// events are the emulator's own start and stop log.
func (a *account) events() (out []emulator.Event) {
	a.t.Helper()
	f, err := os.Open(filepath.Join(a.dir, "instances.jsonl"))
	a.must(err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var e emulator.Event
		a.must(json.Unmarshal(lines.Bytes(), &e))
		out = append(out, e)
	}
	a.must(lines.Err())
	return out
}

// bill is made of the emulator's log alone, as CSV, with its total in cents by rational arithmetic of its own.
func (a *account) bill(until time.Time) (text string, cents int64) {
	a.t.Helper()
	ends := map[string]time.Time{}
	for _, e := range a.events() {
		if e.Event == "terminated" {
			ends[e.Instance] = e.At
		}
	}
	var body bytes.Buffer
	w := csv.NewWriter(&body)
	a.must(w.Write([]string{"id", "type", "zone", "market", "start", "end", "hourly"}))
	sum := new(big.Rat)
	for _, e := range a.events() {
		if e.Event != "launch" {
			continue
		}
		end, ended := ends[e.Instance]
		text := ""
		seconds := int64(until.Sub(e.At) / time.Second)
		if ended {
			text = end.Format(time.RFC3339)
			seconds = max(60, int64(end.Sub(e.At)/time.Second))
		}
		price, ok := new(big.Rat).SetString(strconv.FormatFloat(e.PricePerHour, 'f', -1, 64))
		if !ok {
			a.t.Fatal(e.PricePerHour)
		}
		sum.Add(sum, price.Mul(price, big.NewRat(seconds, 3600)))
		a.must(w.Write([]string{e.Instance, e.Type, e.Zone, e.Market, e.At.Format(time.RFC3339), text, strconv.FormatFloat(e.PricePerHour, 'f', -1, 64)}))
	}
	w.Flush()
	cents, err := strconv.ParseInt(sum.Mul(sum, big.NewRat(100, 1)).FloatString(0), 10, 64)
	a.must(err)
	return body.String(), cents
}

// seconds of an instance that has ended, of the emulator's log.
func (a *account) seconds(id string) int64 {
	a.t.Helper()
	var start, end time.Time
	for _, e := range a.events() {
		if e.Instance == id && e.Event == "launch" {
			start = e.At
		} else if e.Instance == id && e.Event == "terminated" {
			end = e.At
		}
	}
	return int64(end.Sub(start) / time.Second)
}

// TestTheReportsTotalsAreTheBill lets an account live for some hours and compares the report of the ledger, which knows what AWS's
// APIs said, with a bill of the emulator's own log.
func TestTheReportsTotalsAreTheBill(t *testing.T) {
	a := newAccount(t)
	a.pass(10 * time.Minute)
	spots := a.launch("general-1a-spot", 5, "swell-1")
	a.pass(17*time.Minute + 13*time.Second)
	more := a.launch("general-1c-spot", 3, "swell-2")
	a.launch("general-1a-on-demand", 2, "swell-3")
	a.pass(41 * time.Minute)
	a.terminate(spots[0])
	a.interrupt(spots[1])
	a.pass(29*time.Minute + 7*time.Second)
	// someone raises a group by hand, for half an hour, and swell does not come to see it
	before := a.groupOf()
	a.desire("general-1a-on-demand", 4)
	a.pass(time.Second)
	var byHand string
	for id := range a.groupOf() {
		if _, known := before[id]; !known {
			byHand = id
		}
	}
	if byHand == "" {
		t.Fatal("no instance was started by hand")
	}
	a.unrecorded[byHand] = true
	a.pass(30 * time.Minute)
	a.terminate(byHand)
	brief := a.launch("general-1c-spot", 12, "swell-4") // which are paid for a minute
	a.pass(4 * time.Second)
	for _, id := range brief {
		a.terminate(id)
	}
	a.pass(47*time.Minute + 36*time.Second)
	a.terminate(more[2])
	a.pass(30 * time.Minute)

	until := a.clock()
	a.entries = append(a.entries, ledger.Entry{At: until, Model: until, Phase: ledger.Note, Action: "start", Object: "swell-scaler-1"}) // the ledger's end
	text, cents := a.bill(until)
	lines, err := report.ReadBill(strings.NewReader(text))
	a.must(err)
	r, err := report.Make(slices.Values(a.entries), report.Options{From: time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC), To: until, Bill: lines})
	a.must(err)

	if got := r.Bill.Bill.Cents(); got != cents {
		t.Errorf("the bill is read as %d cents, want %d", got, cents)
	}
	if len(r.Bill.Unexplained) != 1 || r.Bill.Unexplained[0].ID != byHand || r.Bill.Unexplained[0].Why != "not-in-ledger" {
		t.Fatalf("unexplained is %+v, want %s alone, which swell never recorded", r.Bill.Unexplained, byHand)
	}
	unexplained := *r.Bill.Unexplained[0].Difference
	if got := (*r.Total.Cost.Total + unexplained).Cents(); got != cents {
		t.Errorf("the report's total %s and the unexplained %s are %d cents, the bill is %d", r.Total.Cost.Total, unexplained, got, cents)
	}
	if want := a.seconds(byHand) * 992_000; int64(unexplained) != want || want < 1800*992_000 {
		t.Errorf("half an hour on demand is said to cost %s, want %d millionths times seconds of an hour", unexplained, want)
	}
	// three at the start, those by swell, one for an interrupted one
	if launched := len(spots) + len(more) + len(brief) + 2; r.Bill.Matched != 3+launched+1 {
		t.Errorf("%d instances agree", r.Bill.Matched)
	}
	if len(r.NotBySwell) != 4 {
		t.Errorf("not launched by swell: %+v, want the three at the start and the one for an interrupted one", r.NotBySwell)
	}
	if *r.Total.Cost.Total != r.Bill.Ledger || r.Bill.Ledger+r.Bill.Difference != r.Bill.Bill {
		t.Errorf("total %s, ledger %s, difference %s, bill %s", r.Total.Cost.Total, r.Bill.Ledger, r.Bill.Difference, r.Bill.Bill)
	}
	t.Logf("bill %s, ledger %s, unexplained %s of %s; %d instances agree", r.Bill.Bill, r.Bill.Ledger, unexplained, byHand, r.Bill.Matched)
	splitAddsUp(t, a.entries, r, until)
}

// splitAddsUp says that the parts of a period have its total, to the last digit.
func splitAddsUp(t *testing.T, entries []ledger.Entry, whole *report.Report, until time.Time) {
	t.Helper()
	var sum report.Money
	from := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	for from.Before(until) {
		to := from.Add(13*time.Minute + 700*time.Millisecond)
		if to.After(until) {
			to = until
		}
		part, err := report.Make(slices.Values(entries), report.Options{From: from, To: to})
		if err != nil {
			t.Fatal(err)
		}
		sum += *part.Total.Cost.Total
		from = to
	}
	if sum != *whole.Total.Cost.Total {
		t.Errorf("the parts cost %s, the whole %s", sum.Decimal(), whole.Total.Cost.Total.Decimal())
	}
}

// A spot group of two types, one dearer than the other, as swell's own client and recorder see it: each instance is paid by its type.
func TestASpotGroupOfSeveralTypesIsPaidByType(t *testing.T) {
	a := newAccount(t)
	client, err := aws.New(t.Context(), aws.Options{Region: "ap-northeast-1", Endpoint: a.url, Rate: 1000, Burst: 1000, Log: slog.New(slog.DiscardHandler)})
	a.must(err)
	lives := record.NewLives(a.clock(), record.Options{ModelTime: func(t time.Time) time.Time { return t }, OnDemand: func(string) float64 { return 0 }})
	var entries []ledger.Entry // of the recorder alone
	observe := func() {
		groups, _, err := client.Groups(t.Context(), map[string]string{"swell/pool": "mixed"}, "mixed")
		a.must(err)
		now := a.clock()
		s := &plan.Snapshot{Groups: groups, GroupsAt: now}
		for _, e := range lives.Observe(now, s, plan.Policy{}) {
			e.At = now
			entries = append(entries, e)
		}
	}
	a.pass(time.Minute)
	a.launch("mixed-1d-spot", 2, "one")
	answer, err := http.Post(a.url+"/_control/capacity", "application/json", strings.NewReader(`{"type":"m6i.4xlarge","zone":"ap-northeast-1d"}`))
	a.must(err)
	answer.Body.Close()
	a.launch("mixed-1d-spot", 3, "two")
	a.pass(time.Minute)
	observe()
	a.pass(47*time.Minute + 11*time.Second)
	until := a.clock()
	entries = append(entries, ledger.Entry{At: until, Model: until, Phase: ledger.Note, Action: "start", Object: "swell-scaler-1"})
	text, _ := a.bill(until)
	var mixed []report.BillLine
	lines, err := report.ReadBill(strings.NewReader(text))
	a.must(err)
	for _, l := range lines {
		if l.Zone == "ap-northeast-1d" {
			mixed = append(mixed, l)
		}
	}
	r, err := report.Make(slices.Values(entries), report.Options{From: until.Add(-40 * time.Minute), To: until, Bill: mixed})
	a.must(err)
	if len(mixed) != 5 || r.Bill.Matched != 5 || r.Bill.Difference != 0 {
		t.Errorf("%d lines, %d agree, the ledger is %s and the bill %s: %+v", len(mixed), r.Bill.Matched, r.Bill.Ledger, r.Bill.Bill, r.Bill.Unexplained)
	}
	if want := int64(40 * 60 * (2*310_700 + 3*331_900)); int64(*r.Total.Cost.Total) != want {
		t.Errorf("the total is %s, want %d millionths times seconds of an hour", r.Total.Cost.Total.Decimal(), want)
	}
}

// The least of a minute is an instance's: a bill of a line an hour has it once, and not at each line.
func TestABillOfHoursHasTheMinuteOnce(t *testing.T) {
	line := func(id string, from, to time.Duration) report.BillLine {
		return report.BillLine{ID: id, Type: "m6i.4xlarge", Zone: "a", Market: "spot", Start: nine.Add(from), End: known(nine.Add(to)), Hourly: known(0.36)}
	}
	// one from 9:00:10 to 11:00:20, one of half a minute that the hour cuts in two, one that is stopped and starts again
	entries := []ledger.Entry{end(0), instance("i-1", "a", "spot", 10.0/60, known(120+20.0/60), known(0.36)), instance("i-2", "a", "spot", 60-10.0/60, known(60+20.0/60), known(0.36)), end(180)}
	bill := []report.BillLine{
		line("i-1", time.Hour, 2*time.Hour), line("i-1", 10*time.Second, time.Hour), line("i-1", 2*time.Hour, 2*time.Hour+20*time.Second), // in any order
		line("i-2", time.Hour-10*time.Second, time.Hour), line("i-2", time.Hour, time.Hour+20*time.Second),
		line("i-3", 0, 10*time.Second), line("i-3", time.Hour, time.Hour+10*time.Second),
	}
	r := made(t, report.Options{Bill: bill}, entries...)
	if r.Bill.Matched != 2 || len(r.Bill.Unexplained) != 1 {
		t.Errorf("%d agree, unexplained %+v", r.Bill.Matched, r.Bill.Unexplained)
	}
	wantMoney(t, "the ledger", &r.Bill.Ledger, (7210+60)*0.36/3600)
	wantMoney(t, "the bill", &r.Bill.Bill, (7210+60+2*60)*0.36/3600)
	// the parts of a period have its sum on a bill too
	sum := report.Money(0)
	for from := nine; from.Before(nine.Add(3 * time.Hour)); from = from.Add(25 * time.Second) {
		sum += made(t, report.Options{From: from, To: from.Add(25 * time.Second), Bill: bill}, entries...).Bill.Bill
	}
	if sum != r.Bill.Bill {
		t.Errorf("the parts of the bill are %s, the whole is %s", sum.Decimal(), r.Bill.Bill.Decimal())
	}
	// a price that changes from hour to hour counts in its own
	bill[0].Hourly = known(0.72)
	r = made(t, report.Options{Bill: bill}, entries...)
	wantMoney(t, "an hour twice as dear", &r.Bill.Bill, (7210+3600+60+2*60)*0.36/3600)
	if i := slices.IndexFunc(r.Bill.Unexplained, func(u report.Unexplained) bool { return u.ID == "i-1" }); i < 0 || r.Bill.Unexplained[i].Why != "other-price" {
		t.Errorf("unexplained %+v", r.Bill.Unexplained)
	}
}
