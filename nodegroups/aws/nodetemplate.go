package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"swell/nodegroups"
)

// The tags that cluster-autoscaler reads, in its meaning.
const (
	labelTag    = "k8s.io/cluster-autoscaler/node-template/label/"
	taintTag    = "k8s.io/cluster-autoscaler/node-template/taint/"
	resourceTag = "k8s.io/cluster-autoscaler/node-template/resources/"
)

// nodeTemplate is the Node that one more instance of the group becomes: what its tags say, and of the rest what its instance
// types give, less what a node keeps for itself.
func (c *Client) nodeTemplate(ctx context.Context, g nodegroups.Group) (nodegroups.Template, *Problem, error) {
	infos, what, err := c.instanceTypes(ctx, g.InstanceTypes)
	if err != nil {
		return nodegroups.Template{}, nil, err
	}
	if what != "" {
		return nodegroups.Template{}, &Problem{g.Name, what, "name instance types that region " + c.options.Region + " offers in the group"}, nil
	}
	t := nodegroups.Template{
		Labels: map[string]string{corev1.LabelTopologyZone: g.Zone, corev1.LabelTopologyRegion: c.options.Region, corev1.LabelOSStable: "linux", corev1.LabelArchStable: architecture(infos[0])},
	}
	if len(g.InstanceTypes) == 1 {
		t.Labels[corev1.LabelInstanceTypeStable] = g.InstanceTypes[0]
	}
	t.Allocatable = smallest(infos)
	for tag, value := range g.Tags {
		switch {
		case strings.HasPrefix(tag, labelTag):
			t.Labels[tag[len(labelTag):]] = value
		case strings.HasPrefix(tag, taintTag):
			v, effect, ok := strings.Cut(value, ":")
			if !ok {
				return t, &Problem{g.Name, fmt.Sprintf("its tag %s is %q", tag, value), "write value:NoSchedule, value:PreferNoSchedule or value:NoExecute"}, nil
			}
			t.Taints = append(t.Taints, corev1.Taint{Key: tag[len(taintTag):], Value: v, Effect: corev1.TaintEffect(effect)})
		case strings.HasPrefix(tag, resourceTag):
			q, err := resource.ParseQuantity(value)
			if err != nil {
				return t, &Problem{g.Name, fmt.Sprintf("its tag %s is %q", tag, value), "write a quantity, such as 15500m or 58Gi"}, nil
			}
			t.Allocatable[corev1.ResourceName(tag[len(resourceTag):])] = q
		}
	}
	slices.SortFunc(t.Taints, func(a, b corev1.Taint) int { return strings.Compare(a.Key+string(a.Effect), b.Key+string(b.Effect)) })
	return t, nil, nil
}

// instanceTypes describes types, each once in the client's life, or says what is wrong with them.
func (c *Client) instanceTypes(ctx context.Context, names []string) (infos []ec2types.InstanceTypeInfo, what string, err error) {
	var unknown []ec2types.InstanceType
	c.mu.Lock()
	for _, n := range names {
		if _, ok := c.types[n]; !ok {
			unknown = append(unknown, ec2types.InstanceType(n))
		}
	}
	c.mu.Unlock()
	for some := range slices.Chunk(unknown, 100) {
		out, err := c.ec2.DescribeInstanceTypes(ctx, &ec2.DescribeInstanceTypesInput{InstanceTypes: some})
		if err != nil {
			if ofGroup(err) {
				return nil, fmt.Sprintf("its instance types %v cannot be described: %s", some, messageOf(err)), nil
			}
			return nil, "", c.explain(err, "describing the instance types %v", some)
		}
		c.mu.Lock()
		for _, t := range out.InstanceTypes {
			c.types[string(t.InstanceType)] = t
		}
		c.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range names {
		info, ok := c.types[n]
		if !ok || info.VCpuInfo == nil || info.MemoryInfo == nil {
			return nil, fmt.Sprintf("EC2 gives no size for its instance type %s", n), nil
		}
		infos = append(infos, info)
	}
	return infos, "", nil
}

func architecture(info ec2types.InstanceTypeInfo) string {
	if info.ProcessorInfo != nil && slices.Contains(info.ProcessorInfo.SupportedArchitectures, ec2types.ArchitectureTypeArm64) {
		return "arm64"
	}
	return "amd64"
}

// smallest takes the least of each resource that the types give.
func smallest(infos []ec2types.InstanceTypeInfo) corev1.ResourceList {
	out := corev1.ResourceList{}
	for _, info := range infos {
		pods := maxPods(info)
		for name, q := range map[corev1.ResourceName]resource.Quantity{
			corev1.ResourceCPU:    *resource.NewMilliQuantity(allocatableCPU(awssdk.ToInt32(info.VCpuInfo.DefaultVCpus)), resource.DecimalSI),
			corev1.ResourceMemory: *resource.NewQuantity(allocatableMiB(awssdk.ToInt64(info.MemoryInfo.SizeInMiB), pods)<<20, resource.BinarySI),
			corev1.ResourcePods:   *resource.NewQuantity(pods, resource.DecimalSI),
		} {
			if have, ok := out[name]; !ok || q.Cmp(have) < 0 {
				out[name] = q
			}
		}
	}
	return out
}

// maxPods as EKS sets it: one address a pod of all interfaces but their first, two pods on the host's network.
func maxPods(info ec2types.InstanceTypeInfo) int64 {
	if info.NetworkInfo == nil || info.NetworkInfo.MaximumNetworkInterfaces == nil || info.NetworkInfo.Ipv4AddressesPerInterface == nil {
		return 110
	}
	return int64(*info.NetworkInfo.MaximumNetworkInterfaces)*int64(*info.NetworkInfo.Ipv4AddressesPerInterface-1) + 2
}

// allocatableCPU in millicores, less EKS's reservation: 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the rest.
func allocatableCPU(cores int32) int64 {
	reserved := 0.0
	for n := range cores {
		switch {
		case n == 0:
			reserved += 60
		case n == 1:
			reserved += 10
		case n < 4:
			reserved += 5
		default:
			reserved += 2.5
		}
	}
	return int64(float64(cores)*1000 - reserved)
}

// allocatableMiB of memory, less EKS's reservation of 255 MiB and 11 MiB a pod, the eviction threshold of 100 MiB and the share
// of the nominal memory, about 7.5 %, that the hypervisor and the kernel keep.
func allocatableMiB(nominal, pods int64) int64 {
	return nominal*925/1000 - 255 - 11*pods - 100
}
