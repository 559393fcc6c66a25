package awsconformance_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	"github.com/aws/aws-sdk-go-v2/service/savingsplans"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	emulator "swell/bench/testbed/aws"
)

var ctx = context.Background()

const (
	region = "ap-northeast-1"
	image  = "ami-12c6146b" // moto knows it
)

// target is a service that is asked, with a world of its own in it: the group web of 1 to 10 on-demand m5.large in
// ap-northeast-1a with 2 instances and the tag pool=general, the empty group wide of two zones, the empty group spare, and the
// queue interruptions.
type target struct {
	*testing.T
	isMoto bool
	url    string
	queue  string            // URL
	subnet map[string]string // id by zone
	e      *emulator.Emulator
	seen   *recorder

	as     *autoscaling.Client
	ec2    *ec2.Client
	sqs    *sqs.Client
	sts    *sts.Client
	iam    *iam.Client
	quotas *servicequotas.Client
	plans  *savingsplans.Client
	prices *pricing.Client

	mu    sync.Mutex
	clock time.Time // of the emulator
}

// recorder is the HTTP client of the SDK's. It notices answers that are no AWS's: moto's to an operation that it does not have.
type recorder struct {
	mu      sync.Mutex
	foreign bool
}

func (r *recorder) Do(q *http.Request) (*http.Response, error) {
	if q.Body != nil {
		// the SDK closes a body that a quick answer may find half written
		q.Body = struct{ io.ReadCloser }{q.Body}
	}
	a, err := http.DefaultClient.Do(q)
	if err == nil && a.StatusCode == http.StatusInternalServerError && strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
		r.mu.Lock()
		r.foreign = true
		r.mu.Unlock()
	}
	return a, err
}

func (t *target) connect() {
	t.seen = &recorder{}
	c := awssdk.Config{Region: region, BaseEndpoint: &t.url, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), HTTPClient: t.seen,
		Retryer: func() awssdk.Retryer { return awssdk.NopRetryer{} }}
	t.as, t.ec2, t.sqs, t.sts, t.iam, t.quotas, t.plans = autoscaling.NewFromConfig(c), ec2.NewFromConfig(c), sqs.NewFromConfig(c), sts.NewFromConfig(c), iam.NewFromConfig(c), servicequotas.NewFromConfig(c), savingsplans.NewFromConfig(c)
	t.prices = pricing.NewFromConfig(c)
}

func newEmulator(t *testing.T, change ...func(*emulator.Fleet)) *target {
	t.Helper()
	w := &target{T: t, clock: time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC), subnet: map[string]string{"ap-northeast-1a": "subnet-a", "ap-northeast-1c": "subnet-c"}}
	spare := emulator.Group{Name: "spare", Zone: "ap-northeast-1a", Market: "on-demand", Max: 5, InstanceTypes: []string{"m5.large"}, Image: image, Subnets: []string{"subnet-a"}}
	web, wide := spare, spare
	web.Name, web.Min, web.Max, web.Desired, web.Tags = "web", 1, 10, 2, map[string]string{"pool": "general"}
	wide.Name, wide.MoreZones, wide.Subnets = "wide", []string{"ap-northeast-1c"}, []string{"subnet-a", "subnet-c"}
	spare.ScheduledActions = []emulator.ScheduledAction{{Name: "evening", Recurrence: "0 18 * * *", Min: new(1), Max: new(5), Desired: new(2)}}
	spare.Refreshes = []string{"InProgress", "Successful"}
	web.NoResourceTags, wide.NoResourceTags, spare.NoResourceTags = true, true, true
	fleet := emulator.Fleet{Region: region, Groups: []emulator.Group{web, wide, spare},
		InstanceTypes: map[string]emulator.InstanceType{"m5.large": {VCPU: 2, MemoryMiB: 8192}}, Prices: map[string]emulator.Price{"m5.large": {OnDemand: 0.124, Spot: 0.04}},
		Subnets:      map[string]emulator.Subnet{"subnet-a": {Zone: "ap-northeast-1a", Addresses: 251}, "subnet-c": {Zone: "ap-northeast-1c", Addresses: 251}},
		SavingsPlans: []emulator.SavingsPlan{{Kind: "EC2Instance", Family: "m5", Commitment: 2.5, Discount: 0.5}, {Kind: "Compute", Commitment: 1, State: "retired"}},
		Reserved:     []emulator.Reserved{{Type: "m5.large", Count: 3}}, Quotas: map[string]float64{emulator.QuotaOnDemand: 640}}
	for _, f := range change {
		f(&fleet)
	}
	e, err := emulator.New(emulator.Options{Seed: 7, Now: w.now, Manual: true, Fleet: fleet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	w.e, w.url, w.queue = e, server.URL, server.URL+"/123456789012/interruptions"
	w.connect()
	w.pass(10 * time.Minute)
	return w
}

func (t *target) now() time.Time {
	if t.isMoto {
		return time.Now()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.clock
}

// pass lets time go by in the emulator; moto does everything at once.
func (t *target) pass(d time.Duration) {
	if t.isMoto {
		return
	}
	for range int(d / time.Second) {
		t.mu.Lock()
		t.clock = t.clock.Add(time.Second)
		t.mu.Unlock()
		for next := t.e.Step(); !next.IsZero() && !next.After(t.now()); next = t.e.Step() {
		}
	}
}

// order is for what only an emulator can be told.
func (t *target) order(what string, o emulator.Order) {
	t.Helper()
	if _, err := t.e.Control(what, o); err != nil {
		t.Fatal(err)
	}
}

func must[T any](t *target) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// group is a group as it is described.
func (t *target) group(name string) astypes.AutoScalingGroup {
	t.Helper()
	out := must[*autoscaling.DescribeAutoScalingGroupsOutput](t)(t.as.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}}))
	if len(out.AutoScalingGroups) != 1 {
		t.Fatalf("%d groups are called %s", len(out.AutoScalingGroups), name)
	}
	return out.AutoScalingGroups[0]
}

// instances of a group, by id.
func (t *target) instances(name string) []string {
	t.Helper()
	ids := []string{}
	for _, i := range t.group(name).Instances {
		ids = append(ids, *i.InstanceId)
	}
	return ids
}

// newMoto makes the world in a moto that was reset.
func newMoto(t *testing.T, url string) *target {
	t.Helper()
	answer, err := http.Post(url+"/moto-api/reset", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	w := &target{T: t, isMoto: true, url: url, subnet: map[string]string{}}
	w.connect()
	vpc := must[*ec2.CreateVpcOutput](w)(w.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: awssdk.String("10.0.0.0/16")})).Vpc.VpcId
	for zone, cidr := range map[string]string{"ap-northeast-1a": "10.0.1.0/24", "ap-northeast-1c": "10.0.2.0/24"} {
		w.subnet[zone] = *must[*ec2.CreateSubnetOutput](w)(w.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: &cidr, AvailabilityZone: &zone})).Subnet.SubnetId
	}
	a, both := w.subnet["ap-northeast-1a"], w.subnet["ap-northeast-1a"]+","+w.subnet["ap-northeast-1c"]
	w.motoGroup("web", a, 1, 10, 2, []astypes.Tag{{Key: awssdk.String("pool"), Value: awssdk.String("general"), PropagateAtLaunch: awssdk.Bool(true)}})
	w.motoGroup("wide", both, 0, 5, 0, nil)
	w.motoGroup("spare", a, 0, 5, 0, nil)
	must[*autoscaling.PutScheduledUpdateGroupActionOutput](w)(w.as.PutScheduledUpdateGroupAction(ctx, &autoscaling.PutScheduledUpdateGroupActionInput{AutoScalingGroupName: awssdk.String("spare"),
		ScheduledActionName: awssdk.String("evening"), Recurrence: awssdk.String("0 18 * * *"), MinSize: awssdk.Int32(1), MaxSize: awssdk.Int32(5), DesiredCapacity: awssdk.Int32(2)}))
	w.queue = *must[*sqs.CreateQueueOutput](w)(w.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: awssdk.String("interruptions")})).QueueUrl
	return w
}

func (t *target) motoGroup(name, subnets string, least, most, desired int32, tags []astypes.Tag) {
	t.Helper()
	must[*ec2.CreateLaunchTemplateOutput](t)(t.ec2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &name,
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: awssdk.String(image), InstanceType: "m5.large"}}))
	must[*autoscaling.CreateAutoScalingGroupOutput](t)(t.as.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: &name,
		LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateName: &name, Version: awssdk.String("$Default")}, MinSize: &least, MaxSize: &most, DesiredCapacity: &desired,
		VPCZoneIdentifier: &subnets, Tags: tags}))
}
