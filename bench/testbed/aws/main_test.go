package aws_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"

	emulator "swell/bench/testbed/aws"
)

const asProcess = "AWS_EMULATOR_TEST_ARGS"

func TestMain(m *testing.M) {
	if args := os.Getenv(asProcess); args != "" {
		os.Exit(emulator.Main(strings.Split(args, "\n")))
	}
	os.Exit(m.Run())
}

// process is an emulator that can be started again in its folder and on its address.
type process struct {
	t                   *testing.T
	dir, fleet, address string
}

func newProcess(t *testing.T) process {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := process{t: t, dir: t.TempDir(), address: listener.Addr().String()}
	listener.Close()
	raw, err := os.ReadFile("testdata/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p.fleet = filepath.Join(p.dir, "fleet.yaml")
	if err := os.WriteFile(p.fleet, []byte(strings.Replace(string(raw), "compression: 1", "compression: 1000", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p process) start() *exec.Cmd {
	p.t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), asProcess+"="+strings.Join([]string{"--dir", filepath.Join(p.dir, "log"), "--fleet", p.fleet, "--listen", p.address, "--seed", "3"}, "\n"))
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = c.Process.Kill() // it may have been killed before
		_ = c.Wait()
	})
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if answer, err := http.Get("http://" + p.address + "/_control/state"); err == nil {
			answer.Body.Close()
			return c
		}
	}
	p.t.Fatal("the emulator does not answer")
	return nil
}

// TestAKilledProcessGoesOn kills the real process and starts it again on its port.
func TestAKilledProcessGoesOn(t *testing.T) {
	p := newProcess(t)
	client := autoscaling.New(autoscaling.Options{Region: "ap-northeast-1", BaseEndpoint: awssdk.String("http://" + p.address), Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), HTTPClient: plainBody{}})
	launch := func() *autoscaling.LaunchInstancesOutput {
		t.Helper()
		return must[*autoscaling.LaunchInstancesOutput](t)(client.LaunchInstances(ctx, &autoscaling.LaunchInstancesInput{AutoScalingGroupName: awssdk.String("general-1a-spot"),
			RequestedCapacity: awssdk.Int32(5), ClientToken: awssdk.String("burst")}))
	}
	running := func() []string {
		var ids []string
		out := must[*autoscaling.DescribeAutoScalingGroupsOutput](t)(client.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{"general-1a-spot"}}))
		for _, i := range out.AutoScalingGroups[0].Instances {
			if i.LifecycleState == "InService" {
				ids = append(ids, *i.InstanceId)
			}
		}
		return ids
	}
	first := p.start()
	was := launch()
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // it was killed
	p.start()
	if again := launch(); !sameJSON(was.Instances, again.Instances) {
		t.Fatalf("the same token gave %+v, and after the restart %+v", was.Instances, again.Instances)
	}
	for deadline := time.Now().Add(30 * time.Second); len(running()) != 7; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of 7 instances run", len(running()))
		}
	}
}
