package awsconformance_test

import (
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	emulator "swell/bench/testbed/aws"
)

const newImage = "ami-03cf127a" // moto knows it

var templateCases = []conformanceCase{
	{op: "ec2:DescribeLaunchTemplateVersions", docs: ec2Docs + "LaunchTemplateVersion.html", says: "the default version's data",
		want: `{"default":true,"id":"lt#1","image":"ami-12c6146b","name":"web","number":1,"type":"m5.large"}`, run: func(t *target) any { return t.version("$Default") }},
	{op: "ec2:DescribeLaunchTemplateVersions", docs: ec2Docs + "DescribeLaunchTemplateVersions.html", says: "an image that is a parameter is told as such, and with ResolveAlias as the image that it stands for", alone: "moto resolves no parameter",
		want: `["resolve:ssm:/images/node","ami-03cf127a"]`, run: func(t *target) any {
			t = newEmulator(t.T, func(f *emulator.Fleet) {
				f.Parameters, f.Groups[0].Image = map[string]string{"/images/node": newImage}, "resolve:ssm:/images/node"
			})
			out := []string{}
			for _, resolve := range []bool{false, true} {
				out = append(out, *must[*ec2.DescribeLaunchTemplateVersionsOutput](t)(t.ec2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: awssdk.String("web"),
					Versions: []string{"$Default"}, ResolveAlias: &resolve})).LaunchTemplateVersions[0].LaunchTemplateData.ImageId)
			}
			return out
		}},
	{op: "ec2:DescribeInstances", docs: "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/create-launch-template.html", says: "an instance of a template whose image is a parameter has the image that it stands for", alone: "moto resolves no parameter",
		want: `"ami-03cf127a"`, run: func(t *target) any {
			t = newEmulator(t.T, func(f *emulator.Fleet) {
				f.Parameters, f.Groups[0].Image = map[string]string{"/images/node": newImage}, "resolve:ssm:/images/node"
			})
			return t.describe(t.instances("web")[0]).ImageId
		}},
	{op: "ec2:DescribeLaunchTemplateVersions", docs: "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html", says: "a template that there is not is InvalidLaunchTemplateName.NotFoundException",
		want: `{"error":"InvalidLaunchTemplateName.NotFoundException"}`, run: func(t *target) any {
			_, err := t.ec2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: awssdk.String("none")})
			return refusal(err)
		}},
	{op: "ec2:CreateLaunchTemplateVersion", docs: ec2Docs + "CreateLaunchTemplateVersion.html", says: "it is the latest, made from its source, and not the default",
		moto: &difference{says: "the new version inherits what its source has and the call does not give", want: `{"default":{"default":true,"id":"lt#1","image":"ami-12c6146b","name":"web","number":1,"type":"m5.large"},"latest":{"default":false,"id":"lt#1","image":"ami-03cf127a","name":"web","number":2,"type":""}}`},
		want: `{"default":{"default":true,"id":"lt#1","image":"ami-12c6146b","name":"web","number":1,"type":"m5.large"},"latest":{"default":false,"id":"lt#1","image":"ami-03cf127a","name":"web","number":2,"type":"m5.large"}}`,
		run: func(t *target) any {
			t.newVersion()
			return m{"latest": t.version("$Latest"), "default": t.version("$Default")}
		}},
	{op: "ec2:ModifyLaunchTemplate", docs: ec2Docs + "ModifyLaunchTemplate.html", says: "another version becomes the default, and is what a group with $Default launches",
		want: `{"default":2,"image":"ami-03cf127a","latest":2}`, run: func(t *target) any {
			t.newVersion()
			out := must[*ec2.ModifyLaunchTemplateOutput](t)(t.ec2.ModifyLaunchTemplate(ctx, &ec2.ModifyLaunchTemplateInput{LaunchTemplateName: awssdk.String("web"), DefaultVersion: awssdk.String("2")})).LaunchTemplate
			old := map[string]bool{}
			for _, id := range t.instances("web") {
				old[id] = true
			}
			t.setDesired("web", 3)
			image := ""
			for _, id := range t.instances("web") {
				if !old[id] {
					image = *t.describe(id).ImageId
				}
			}
			return m{"default": out.DefaultVersionNumber, "latest": out.LatestVersionNumber, "image": image}
		}},
}

func (t *target) newVersion() {
	t.Helper()
	must[*ec2.CreateLaunchTemplateVersionOutput](t)(t.ec2.CreateLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateName: awssdk.String("web"), SourceVersion: awssdk.String("1"),
		LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: awssdk.String(newImage)}}))
}

func (t *target) version(v string) any {
	t.Helper()
	out := must[*ec2.DescribeLaunchTemplateVersionsOutput](t)(t.ec2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: awssdk.String("web"), Versions: []string{v}})).LaunchTemplateVersions
	if len(out) != 1 {
		return "not one"
	}
	x := out[0]
	return m{"id": x.LaunchTemplateId, "name": x.LaunchTemplateName, "number": x.VersionNumber, "default": x.DefaultVersion, "image": x.LaunchTemplateData.ImageId, "type": x.LaunchTemplateData.InstanceType}
}
