package awsconformance_test

import (
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

var tagCases = []conformanceCase{
	{op: "autoscaling:CreateOrUpdateTags", docs: asDocs + "CreateOrUpdateTags.html", says: "adds a tag, and replaces one of the same key",
		want: `["owner=b","pool=general"]`, run: func(t *target) any {
			for _, owner := range []string{"a", "b"} {
				must[*autoscaling.CreateOrUpdateTagsOutput](t)(t.as.CreateOrUpdateTags(ctx, &autoscaling.CreateOrUpdateTagsInput{Tags: []types.Tag{groupTag("web", "owner", owner)}}))
			}
			return t.tags("web")
		}},
	{op: "autoscaling:CreateOrUpdateTags", docs: asDocs + "CreateOrUpdateTags.html", says: "a group that does not exist is a ValidationError",
		moto: &difference{says: "what does not satisfy the constraints is refused as a ValidationError, one of the common errors", want: noAnswer},
		want: `{"error":"ValidationError"}`, run: func(t *target) any {
			_, err := t.as.CreateOrUpdateTags(ctx, &autoscaling.CreateOrUpdateTagsInput{Tags: []types.Tag{groupTag("none", "owner", "a")}})
			return refusal(err)
		}},
	{op: "autoscaling:DeleteTags", docs: asDocs + "DeleteTags.html", says: "takes a tag away, and one that is not there is no error",
		want: `[]`, run: func(t *target) any {
			for range 2 {
				must[*autoscaling.DeleteTagsOutput](t)(t.as.DeleteTags(ctx, &autoscaling.DeleteTagsInput{Tags: []types.Tag{groupTag("web", "pool", "general")}}))
			}
			return t.tags("web")
		}},
}

func groupTag(group, key, value string) types.Tag {
	return types.Tag{ResourceId: &group, ResourceType: awssdk.String("auto-scaling-group"), Key: &key, Value: &value, PropagateAtLaunch: awssdk.Bool(true)}
}

func (t *target) tags(group string) []string {
	t.Helper()
	out := []string{}
	for _, x := range t.group(group).Tags {
		out = append(out, *x.Key+"="+*x.Value)
	}
	slices.Sort(out)
	return out
}
