package awsconformance_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"swell/bench/testbed/process"
)

// startMoto starts moto's server, or ends the test as skipped where there is none and SWELL_REQUIRE does not have moto.
func startMoto(t *testing.T) string {
	t.Helper()
	path := motoServer()
	if path == "" {
		const mend = "moto_server is not on PATH: pip install 'moto[server]==5.2.1', or give its path as SWELL_MOTO"
		if slices.Contains(strings.Split(os.Getenv("SWELL_REQUIRE"), ","), "moto") {
			t.Fatal(mend)
		}
		t.Skip(mend)
	}
	port, err := process.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := process.Start(context.Background(), process.Spec{Name: "moto", Path: path, Args: []string{"-H", "127.0.0.1", "-p", strconv.Itoa(port)}, Log: filepath.Join(t.TempDir(), "moto.log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop() })
	url := "http://127.0.0.1:" + strconv.Itoa(port)
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		answer, err := http.Get(url + "/moto-api/data.json")
		if err == nil {
			answer.Body.Close()
			return url
		}
		select {
		case <-p.Done():
			t.Fatal(p.Wait())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("moto does not answer: %v", err)
		}
	}
}

// motoServer is the program's path, or empty. A shim that cannot run is none.
func motoServer() string {
	if path := os.Getenv("SWELL_MOTO"); path != "" {
		return path
	}
	path, err := exec.LookPath("moto_server")
	if err != nil || exec.Command(path, "--help").Run() != nil {
		return ""
	}
	return path
}

// motoHas are the operations of the emulator that moto 5.2.1 implements.
var motoHas = strings.Fields(`
	autoscaling:CreateOrUpdateTags autoscaling:DeleteLifecycleHook autoscaling:DeleteTags autoscaling:DeleteWarmPool autoscaling:DescribeAutoScalingGroups autoscaling:DescribeAutoScalingInstances
	autoscaling:DescribeLifecycleHooks autoscaling:DescribePolicies autoscaling:DescribeScalingActivities autoscaling:DescribeScheduledActions
	autoscaling:DescribeTags autoscaling:DescribeWarmPool autoscaling:PutLifecycleHook autoscaling:PutWarmPool autoscaling:ResumeProcesses
	autoscaling:SetDesiredCapacity autoscaling:SetInstanceProtection autoscaling:SuspendProcesses autoscaling:TerminateInstanceInAutoScalingGroup autoscaling:UpdateAutoScalingGroup
	ec2:CreateLaunchTemplateVersion ec2:DescribeInstances ec2:DescribeInstanceStatus ec2:DescribeInstanceTypeOfferings ec2:DescribeInstanceTypes
	ec2:DescribeLaunchTemplateVersions ec2:DescribeSpotPriceHistory ec2:DescribeSubnets ec2:ModifyLaunchTemplate ec2:TerminateInstances
	iam:GetRole servicequotas:GetServiceQuota
	sqs:DeleteMessage sqs:DeleteMessageBatch sqs:GetQueueAttributes sqs:GetQueueUrl sqs:ReceiveMessage sqs:SendMessage
	sts:GetCallerIdentity`)
