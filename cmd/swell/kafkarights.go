package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// rights tells what the ACLs allow on the given groups and topics; where none are given, how many are seen at all.
func (p *kafkaProbe) rights(ctx context.Context) {
	for _, g := range p.groups {
		p.group(ctx, g)
	}
	for _, t := range p.topics {
		p.topic(ctx, t)
	}
	if len(p.groups) == 0 {
		p.visibleGroups(ctx)
	}
	if len(p.topics) == 0 {
		p.visibleTopics(ctx)
	}
}

// grant is the command that gives a right.
func (p *kafkaProbe) grant(operation, resource, name string) string {
	return fmt.Sprintf("grant it, as in kafka-acls --bootstrap-server %s --add --allow-principal User:%s --operation %s --%s '%s'",
		p.cluster.Brokers[0], p.principal(), operation, resource, name)
}

// principal is who the ACLs speak of, as far as the configuration tells.
func (p *kafkaProbe) principal() string {
	switch s := p.cluster.SASL; {
	case s != nil && s.Username != "":
		return s.Username
	case s == nil && p.cluster.TLS == nil:
		return "ANONYMOUS"
	}
	return "PRINCIPAL"
}

// group reads a group's commits, as each poll does, and as a share group where it has none.
func (p *kafkaProbe) group(ctx context.Context, name string) {
	ctx, cancel := p.within(ctx)
	defer cancel()
	one := kmsg.NewOffsetFetchRequestGroup()
	one.Group = name
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Groups = append(req.Groups, one)
	resp, err := req.RequestWith(ctx, p.client)
	if err == nil && len(resp.Groups) != 1 {
		err = fmt.Errorf("the coordinator answered for %d groups instead of one", len(resp.Groups))
	}
	if err == nil {
		err = kerr.ErrorForCode(resp.Groups[0].ErrorCode)
	}
	partitions := 0
	if err == nil {
		for _, t := range resp.Groups[0].Topics {
			partitions += len(t.Partitions)
		}
	}
	switch {
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		p.failed("group", name, fmt.Errorf("%w: Describe on it is missing: %s", err, p.grant("Describe", "group", name)))
	case err != nil && !errors.Is(err, kerr.GroupIDNotFound):
		p.failed("group", name, err)
	case partitions > 0:
		p.report.add(stepOK, "group", name, "Describe; commits of %d partitions", partitions)
	default:
		p.shareGroup(ctx, name)
	}
}

// shareGroup describes a group that has no commits.
func (p *kafkaProbe) shareGroup(ctx context.Context, name string) {
	if v, ok := p.versions.LookupMaxKeyVersion(shareGroupOffsetsKey); !ok || v < 1 {
		p.nothingOf(ctx, name)
		return
	}
	one := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
	one.GroupID = name
	req := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
	req.Groups = append(req.Groups, one)
	resp, err := req.RequestWith(ctx, p.client)
	if err != nil {
		p.failed("group", name, fmt.Errorf("describe it as a share group: %w", err))
		return
	}
	partitions := 0
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			partitions += len(t.Partitions)
		}
	}
	if partitions == 0 {
		p.nothingOf(ctx, name)
		return
	}
	p.report.add(stepOK, "group", name, "Describe; share group with %d partitions", partitions)
}

// nothingOf warns of a group that has committed nothing: it may come to be, or its name may be another.
func (p *kafkaProbe) nothingOf(ctx context.Context, name string) {
	groups, problems := p.listGroups(ctx)
	if slices.Contains(groups, name) {
		p.report.add(stepWarning, "group", name, "Describe; it has no commits on topics that may be described: start its consumers, or check Describe on its topics with --topic")
		return
	}
	what := "no group of that name may be described: it has not begun yet, or check its name"
	switch {
	case len(problems) > 0: // then any list is in part
	case len(groups) == 0:
		what += "; there is none at all"
	default:
		what += "; " + among(name, groups)
	}
	p.report.add(stepWarning, "group", name, "%s", what)
}

// topic reads what may be done with a topic.
func (p *kafkaProbe) topic(ctx context.Context, name string) {
	ctx, cancel := p.within(ctx)
	defer cancel()
	one := kmsg.NewMetadataRequestTopic()
	one.Topic = kmsg.StringPtr(name)
	req := kmsg.NewPtrMetadataRequest()
	req.Topics, req.IncludeTopicAuthorizedOperations = append(req.Topics, one), true
	resp, err := req.RequestWith(ctx, p.client)
	if err == nil && len(resp.Topics) != 1 {
		err = fmt.Errorf("the broker answered for %d topics instead of one", len(resp.Topics))
	}
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	}
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		p.failed("topic", name, fmt.Errorf("%w: Describe on it is missing: %s", err, p.grant("Describe", "topic", name)))
		return
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		p.failed("topic", name, fmt.Errorf("%w: check its name", err))
		return
	case err != nil:
		p.failed("topic", name, err)
		return
	}
	t := resp.Topics[0]
	may := func(o kmsg.ACLOperation) bool { return t.AuthorizedOperations&(1<<o) != 0 }
	p.report.add(stepOK, "topic", name, "%d partitions; may %s", len(t.Partitions), operations(t.AuthorizedOperations))
	if t.AuthorizedOperations == operationsUntold {
		return
	}
	if !may(kmsg.ACLOperationDescribeConfigs) {
		p.report.add(stepWarning, "topic", name, "DescribeConfigs on it is missing, so that late messages are a bound only: %s", p.grant("DescribeConfigs", "topic", name))
	}
	if p.cluster.ProveEmpty && !may(kmsg.ACLOperationRead) {
		p.failed("topic", name, fmt.Errorf("clusters[name=%s].proveEmpty needs Read on it: %s", p.cluster.Name, p.grant("Read", "topic", name)))
	}
}

// operationsUntold is what a broker answers that does not tell what is allowed.
const operationsUntold = math.MinInt32

func operations(bits int32) string {
	if bits == operationsUntold {
		return "what the broker does not tell"
	}
	var names []string
	for _, o := range []kmsg.ACLOperation{kmsg.ACLOperationDescribe, kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationRead, kmsg.ACLOperationWrite,
		kmsg.ACLOperationAlter, kmsg.ACLOperationDelete} {
		if bits&(1<<o) != 0 {
			names = append(names, strings.ToLower(strings.ReplaceAll(o.String(), "_", " ")))
		}
	}
	return strings.Join(names, ", ")
}

// listGroups are the groups that the brokers list, sorted, and what went wrong by broker.
func (p *kafkaProbe) listGroups(ctx context.Context) (names []string, problems map[string]error) {
	groups, problems := map[string]bool{}, map[string]error{}
	for _, shard := range p.client.RequestSharded(ctx, kmsg.NewPtrListGroupsRequest()) {
		err := shard.Err
		if err == nil {
			resp := shard.Resp.(*kmsg.ListGroupsResponse)
			err = kerr.ErrorForCode(resp.ErrorCode)
			for _, g := range resp.Groups {
				groups[g.Group] = true
			}
		}
		if err != nil {
			problems[fmt.Sprint(shard.Meta.NodeID)] = err
		}
	}
	return slices.Sorted(maps.Keys(groups)), problems
}

// visibleGroups counts the groups that every broker lists.
func (p *kafkaProbe) visibleGroups(ctx context.Context) {
	ctx, cancel := p.within(ctx)
	defer cancel()
	groups, problems := p.listGroups(ctx)
	for _, broker := range slices.Sorted(maps.Keys(problems)) {
		p.failed("groups", broker, problems[broker])
	}
	p.seen("groups", "group", len(groups))
}

func (p *kafkaProbe) visibleTopics(ctx context.Context) {
	ctx, cancel := p.within(ctx)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = nil
	resp, err := req.RequestWith(ctx, p.client)
	if err != nil {
		p.failed("topics", "", err)
		return
	}
	p.seen("topics", "topic", len(resp.Topics))
}

func (p *kafkaProbe) seen(step, flag string, n int) {
	if n == 0 {
		p.report.add(stepWarning, step, "", "none may be described, or there is none: grant Describe on them, and name one with --%s", flag)
		return
	}
	p.report.add(stepOK, step, "", "%d may be described; name some with --%s to see what is allowed on them", n, flag)
}
