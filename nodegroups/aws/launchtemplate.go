package aws

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"swell/nodegroups"
)

// templateMaxAge is how long a launch template that was read is taken as current.
const templateMaxAge = 5 * time.Minute

// marketTag on a group says spot or on-demand where the launch template does not.
const marketTag = "swell/market"

// template is what a launch template version says.
type template struct {
	image, instanceType string
	alias               string // the parameter that image could not be read from
	version             string // the number that $Latest or $Default stands for
	spot                bool
	rootGiB             int64 // of the volume that kubelet uses; 0 is unknown
	read                time.Time
}

// launchTemplate reads the group's launch template.
func (c *Client) launchTemplate(ctx context.Context, d astypes.AutoScalingGroup) (template, *Problem, error) {
	name := awssdk.ToString(d.AutoScalingGroupName)
	specification := d.LaunchTemplate
	if d.MixedInstancesPolicy != nil && d.MixedInstancesPolicy.LaunchTemplate != nil {
		specification = d.MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification
	}
	if specification == nil {
		return template{}, &Problem{name, "it has no launch template", "move the group from its launch configuration to a launch template"}, nil
	}
	version := awssdk.ToString(specification.Version)
	if version == "" {
		version = "$Default"
	}
	in := &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: specification.LaunchTemplateId, Versions: []string{version}}
	key := awssdk.ToString(specification.LaunchTemplateId) + "/" + version
	if specification.LaunchTemplateId == nil {
		in.LaunchTemplateName = specification.LaunchTemplateName
		key = awssdk.ToString(specification.LaunchTemplateName) + "/" + version
	}
	c.mu.Lock()
	known, ok := c.templates[key]
	c.mu.Unlock()
	if ok && c.now().Sub(known.read) < templateMaxAge {
		return known, nil, nil
	}
	out, err := c.templateVersions(ctx, in)
	if err != nil {
		if ofGroup(err) {
			return template{}, &Problem{name, fmt.Sprintf("its launch template %s cannot be read: %s", key, messageOf(err)), "point the group to a launch template version that exists"}, nil
		}
		return template{}, nil, c.explain(err, "reading launch template %s of group %s", key, name)
	}
	if len(out.LaunchTemplateVersions) == 0 || out.LaunchTemplateVersions[0].LaunchTemplateData == nil {
		return template{}, &Problem{name, fmt.Sprintf("its launch template %s has no data", key), "point the group to a launch template version that exists"}, nil
	}
	data := out.LaunchTemplateVersions[0].LaunchTemplateData
	t := template{image: awssdk.ToString(data.ImageId), instanceType: string(data.InstanceType), rootGiB: rootGiB(data.BlockDeviceMappings), read: c.now()}
	if n := out.LaunchTemplateVersions[0].VersionNumber; n != nil {
		t.version = strconv.FormatInt(*n, 10)
	}
	if strings.HasPrefix(t.image, aliasPrefix) {
		t.image, t.alias = "", t.image
	}
	if data.InstanceMarketOptions != nil {
		t.spot = data.InstanceMarketOptions.MarketType == ec2types.MarketTypeSpot
	}
	c.mu.Lock()
	maps.DeleteFunc(c.templates, func(_ string, old template) bool { return c.now().Sub(old.read) > templateMaxAge })
	c.templates[key] = t
	c.mu.Unlock()
	return t, nil, nil
}

// aliasPrefix is what an image begins with that is a parameter of Systems Manager.
const aliasPrefix = "resolve:ssm:"

// templateVersions reads a launch template with the image that its parameter stands for. Where that parameter may not be read,
// the template is read without.
func (c *Client) templateVersions(ctx context.Context, in *ec2.DescribeLaunchTemplateVersionsInput) (*ec2.DescribeLaunchTemplateVersionsOutput, error) {
	in.ResolveAlias = awssdk.Bool(true)
	out, err := c.ec2.DescribeLaunchTemplateVersions(ctx, in)
	if err == nil || unsure(err) || strings.HasPrefix(codeOf(err), "InvalidLaunchTemplate") || slices.Contains([]nodegroups.FailureClass{throttled, nodegroups.NotKnown}, Classify(codeOf(err), "")) {
		return out, err
	}
	in.ResolveAlias = nil
	if plain, refused := c.ec2.DescribeLaunchTemplateVersions(ctx, in); refused == nil {
		return plain, nil
	}
	return nil, err
}

// unknownImage tells of a group whose image is a parameter that cannot be read.
func (c *Client) unknownImage(ctx context.Context, name string, d astypes.AutoScalingGroup) []Problem {
	t, _, err := c.launchTemplate(ctx, d) // read just now
	if err != nil || t.alias == "" {
		return nil
	}
	return []Problem{{name, fmt.Sprintf("its image is %s, which could not be read: its instances of another image are not known, nor what was learned of this one's boots", t.alias), "allow ssm:GetParameters, or correct the parameter"}}
}

// rootGiB is the size of the volume that kubelet keeps images, logs and emptyDirs on: the root's, /dev/xvda or /dev/sda1. Where
// the root is too small to hold them, as Bottlerocket's is, it is the data volume /dev/xvdb.
func rootGiB(mappings []ec2types.LaunchTemplateBlockDeviceMapping) int64 {
	size := func(names ...string) int64 {
		for _, m := range mappings {
			if m.Ebs != nil && slices.Contains(names, awssdk.ToString(m.DeviceName)) {
				return int64(awssdk.ToInt32(m.Ebs.VolumeSize))
			}
		}
		return 0
	}
	root, data := size("/dev/xvda", "/dev/sda1"), size("/dev/xvdb")
	if data > 0 && root < 8 {
		return data
	}
	return root
}

// typesOf the instances that a group may launch.
func typesOf(d astypes.AutoScalingGroup, t template) ([]string, *Problem) {
	name := awssdk.ToString(d.AutoScalingGroupName)
	var types []string
	if d.MixedInstancesPolicy != nil && d.MixedInstancesPolicy.LaunchTemplate != nil {
		for _, o := range d.MixedInstancesPolicy.LaunchTemplate.Overrides {
			if w := awssdk.ToString(o.WeightedCapacity); w != "" && w != "1" {
				return nil, &Problem{name, "its instance types carry weights, so its capacity counts units, and how many instances a launch gives is the service's choice", "remove the weights from the group's overrides"}
			}
			if o.InstanceRequirements != nil || o.InstanceType == nil {
				return nil, &Problem{name, "it chooses instance types by requirements, which any new type may meet, so the size of a launch cannot be planned", "list the instance types instead"}
			}
			if o.ImageId != nil {
				return nil, &Problem{name, "its instance type " + *o.InstanceType + " has an image of its own, so the image of a launch cannot be planned", "name the image in the launch template alone"}
			}
			if o.LaunchTemplateSpecification != nil {
				return nil, &Problem{name, "its instance type " + *o.InstanceType + " has a launch template of its own, so the image of a launch cannot be planned", "make one group per launch template"}
			}
			types = append(types, *o.InstanceType)
		}
	}
	if len(types) == 0 && t.instanceType != "" {
		types = []string{t.instanceType}
	}
	if len(types) == 0 {
		return nil, &Problem{name, "neither its launch template nor its overrides name an instance type", "name the instance types in the group"}
	}
	return types, nil
}

// marketOf a group: its tag, else its mixed policy, else its launch template. No tag makes a mix of both one market.
func marketOf(g nodegroups.Group, d astypes.AutoScalingGroup, t template) (nodegroups.Market, *Problem) {
	market, problem := marketOfPolicy(g.Name, d)
	if problem != nil {
		return "", problem
	}
	switch tag := g.Tags[marketTag]; tag {
	case "":
	case string(nodegroups.Spot), string(nodegroups.OnDemand):
		return nodegroups.Market(tag), nil
	default:
		return "", &Problem{g.Name, fmt.Sprintf("its tag %s is %q", marketTag, tag), "tag it spot or on-demand"}
	}
	if market == "" && t.spot {
		return nodegroups.Spot, nil
	}
	return cmp.Or(market, nodegroups.OnDemand), nil
}

// marketOfPolicy is the market that a group's mixed policy launches; empty is that it has none that says so.
func marketOfPolicy(name string, d astypes.AutoScalingGroup) (nodegroups.Market, *Problem) {
	p := d.MixedInstancesPolicy
	if p == nil || p.InstancesDistribution == nil {
		return "", nil
	}
	percent := int32(100)
	if p.InstancesDistribution.OnDemandPercentageAboveBaseCapacity != nil {
		percent = *p.InstancesDistribution.OnDemandPercentageAboveBaseCapacity
	}
	switch {
	case percent == 100:
		return nodegroups.OnDemand, nil
	case percent == 0 && awssdk.ToInt32(p.InstancesDistribution.OnDemandBaseCapacity) == 0:
		return nodegroups.Spot, nil
	}
	return "", &Problem{name, fmt.Sprintf("it mixes spot and on-demand (%d on-demand, of the rest %d %%), so the market of a launch cannot be planned",
		awssdk.ToInt32(p.InstancesDistribution.OnDemandBaseCapacity), percent), "make one group per market"}
}
