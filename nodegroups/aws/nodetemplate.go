package aws

import (
	"context"
	"fmt"
	"maps"
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

// ebsZone is the label by which the EBS CSI driver's volumes name their zone. The driver puts it on each node that it runs on.
const ebsZone = "topology.ebs.csi.aws.com/zone"

// nodeTemplates fills in the Node that one more instance of each of the group's types becomes: what the group's tags say, and
// of the rest what the type and the launch template give, less what a node keeps for itself.
func (c *Client) nodeTemplates(ctx context.Context, g *nodegroups.Group, from template) (*Problem, error) {
	infos, what, err := c.instanceTypes(ctx, g.InstanceTypes)
	if err != nil {
		return nil, err
	}
	if what != "" {
		return &Problem{g.Name, what, "name instance types that region " + c.options.Region + " offers in the group"}, nil
	}
	g.Templates = map[string]nodegroups.Template{}
	var all []nodegroups.Template
	for _, info := range infos {
		if architecture(info) != architecture(infos[0]) {
			return &Problem{g.Name, "its instance types are of different architectures, so no image fits all", "make one group per architecture"}, nil
		}
		t := nodegroups.Template{Allocatable: allocatable(info, from.rootGiB), Labels: map[string]string{
			corev1.LabelTopologyRegion: c.options.Region, corev1.LabelOSStable: "linux", corev1.LabelArchStable: architecture(info), corev1.LabelInstanceTypeStable: string(info.InstanceType)}}
		if g.Zone != "" {
			t = inZone(t, g.Zone)
		}
		managed(*g, t.Labels)
		if problem := byTags(*g, &t); problem != nil {
			return problem, nil
		}
		g.Templates[string(info.InstanceType)] = t
		all = append(all, t)
	}
	g.Template = nodegroups.Least(all...)
	return nil, nil
}

// managedTag is what EKS gives the groups of its managed node groups, with the node group's name.
const managedTag = "eks:nodegroup-name"

// managed are the labels that EKS puts on the nodes of a managed node group; those that its API was given are not to be seen here.
// https://docs.aws.amazon.com/eks/latest/userguide/managed-node-groups.html
func managed(g nodegroups.Group, labels map[string]string) {
	name := g.Tags[managedTag]
	if name == "" {
		return
	}
	labels["eks.amazonaws.com/nodegroup"], labels["eks.amazonaws.com/capacityType"] = name, "ON_DEMAND"
	if g.Market == nodegroups.Spot {
		labels["eks.amazonaws.com/capacityType"] = "SPOT"
	}
}

// byTags puts cluster-autoscaler's tags into a template.
func byTags(g nodegroups.Group, t *nodegroups.Template) *Problem {
	for tag, value := range g.Tags {
		switch {
		case strings.HasPrefix(tag, labelTag):
			t.Labels[tag[len(labelTag):]] = value
		case strings.HasPrefix(tag, taintTag):
			v, effect, ok := strings.Cut(value, ":")
			if !ok || !slices.Contains([]string{"NoSchedule", "PreferNoSchedule", "NoExecute"}, effect) {
				return &Problem{g.Name, fmt.Sprintf("its tag %s is %q", tag, value), "write value:NoSchedule, value:PreferNoSchedule or value:NoExecute"}
			}
			t.Taints = append(t.Taints, corev1.Taint{Key: tag[len(taintTag):], Value: v, Effect: corev1.TaintEffect(effect)})
		case strings.HasPrefix(tag, resourceTag):
			q, err := resource.ParseQuantity(value)
			if err != nil {
				return &Problem{g.Name, fmt.Sprintf("its tag %s is %q", tag, value), "write a quantity, such as 15500m or 58Gi"}
			}
			t.Allocatable[corev1.ResourceName(tag[len(resourceTag):])] = q
		}
	}
	slices.SortFunc(t.Taints, func(a, b corev1.Taint) int { return strings.Compare(a.Key+string(a.Effect), b.Key+string(b.Effect)) })
	return nil
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

// allocatable is what an instance of a type leaves for pods.
func allocatable(info ec2types.InstanceTypeInfo, rootGiB int64) corev1.ResourceList {
	cores := awssdk.ToInt32(info.VCpuInfo.DefaultVCpus)
	pods := maxPods(info)
	out := corev1.ResourceList{
		corev1.ResourceCPU: *resource.NewMilliQuantity(allocatableCPU(cores), resource.DecimalSI),
		// kubelet's reservation grows with what the interfaces allow, also where the number of pods is capped below that
		corev1.ResourceMemory: *resource.NewQuantity(allocatableMiB(awssdk.ToInt64(info.MemoryInfo.SizeInMiB), pods)<<20, resource.BinarySI),
		corev1.ResourcePods:   *resource.NewQuantity(min(pods, podsCap(cores)), resource.DecimalSI),
	}
	if rootGiB > 0 {
		out[corev1.ResourceEphemeralStorage] = *resource.NewQuantity(allocatableDisk(rootGiB), resource.BinarySI)
	}
	for name, n := range devices(info) {
		out[name] = *resource.NewQuantity(n, resource.DecimalSI)
	}
	return out
}

// devices are the accelerators as their device plugins name them. EFA and huge pages are left out: they are a choice of the
// launch template's, which the group's tags or its nodes tell.
func devices(info ec2types.InstanceTypeInfo) map[corev1.ResourceName]int64 {
	out := map[corev1.ResourceName]int64{}
	if info.GpuInfo != nil {
		for _, d := range info.GpuInfo.Gpus {
			if name, ok := gpuResources[strings.ToLower(awssdk.ToString(d.Manufacturer))]; ok {
				out[name] += int64(awssdk.ToInt32(d.Count))
			}
		}
	}
	if info.NeuronInfo != nil {
		for _, d := range info.NeuronInfo.NeuronDevices {
			n := int64(awssdk.ToInt32(d.Count))
			out["aws.amazon.com/neuron"] += n
			if d.CoreInfo != nil {
				out["aws.amazon.com/neuroncore"] += n * int64(awssdk.ToInt32(d.CoreInfo.Count))
			}
		}
	}
	maps.DeleteFunc(out, func(_ corev1.ResourceName, n int64) bool { return n == 0 })
	return out
}

// gpuResources by manufacturer as EC2 writes it, in lower case.
var gpuResources = map[string]corev1.ResourceName{"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu", "habana": "habana.ai/gaudi"}

// maxPods as EKS sets it: one address a pod of all interfaces but their first, two pods on the host's network.
func maxPods(info ec2types.InstanceTypeInfo) int64 {
	if info.NetworkInfo == nil || info.NetworkInfo.MaximumNetworkInterfaces == nil || info.NetworkInfo.Ipv4AddressesPerInterface == nil {
		return 110
	}
	return int64(*info.NetworkInfo.MaximumNetworkInterfaces)*int64(*info.NetworkInfo.Ipv4AddressesPerInterface-1) + 2
}

// podsCap is the most pods that EKS recommends for a node of that many cores.
func podsCap(cores int32) int64 {
	if cores < 30 {
		return 110
	}
	return 250
}

// allocatableDisk of a volume, in bytes: less 2 % for the file system, the eviction threshold of 10 % and the 1 GiB that EKS
// reserves.
func allocatableDisk(gib int64) int64 { return (gib<<30)*98/100*9/10 - 1<<30 }

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
