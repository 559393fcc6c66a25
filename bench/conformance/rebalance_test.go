package conformance_test

import (
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var rebalanceCases = []testCase{
	{"classic group that rebalances", func(e *env) { rebalance(e, newClassicMember) }},
	{"consumer group that rebalances", func(e *env) { rebalance(e, newConsumerMembers) }},
}

// rebalancing makes a group change its members' partitions, from begin to end.
type rebalancing struct {
	begin func()
	end   func()
}

// rebalance has a group that made progress stop for a rebalance with messages left.
func rebalance(e *env, of func(e *env, group, topic string) rebalancing) {
	topic, group := e.name, e.name
	e.topic(topic, 2)
	e.produce(topic, 0, 10)
	a := committed(group, topic)
	// States are looked at with what the pace of the metadata leaves of the requests.
	cluster := clusterAt(e.target.plain)
	cluster.MetadataEvery = metav1.Duration{Duration: time.Hour}
	w := newWatch(e.T, cluster, a)
	for offset := range int64(4) {
		e.commit(group, topic, 0, offset)
		w.poll()
	}
	if w.view(a).Rebalancing {
		e.Error("a group that commits counts as rebalancing")
	}
	r := of(e, group, topic)
	r.begin()
	e.until("the rebalance is seen", func() (bool, error) { return w.view(a).Rebalancing, w.poller.Poll(e.Context()) })
	w.expect(a, lags{at(topic, 0): known(7), at(topic, 1): known(0)})
	r.end()
	e.until("the end of the rebalance is seen", func() (bool, error) { return !w.view(a).Rebalancing, w.poller.Poll(e.Context()) })
}

// newClassicMember joins and keeps the group waiting for its assignment.
func newClassicMember(e *env, group, topic string) rebalancing {
	var joined *kmsg.JoinGroupResponse
	join := func(member string) *kmsg.JoinGroupResponse {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.MemberID, req.ProtocolType = group, member, "consumer"
		req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 30_000, 60_000
		subscription := kmsg.NewConsumerMemberMetadata()
		subscription.Topics = []string{topic}
		protocol := kmsg.NewJoinGroupRequestProtocol()
		protocol.Name, protocol.Metadata = "range", subscription.AppendTo(nil)
		req.Protocols = append(req.Protocols, protocol)
		resp, err := req.RequestWith(e.Context(), e.client)
		if err != nil {
			e.Fatalf("join %s: %v", group, err)
		}
		return resp
	}
	return rebalancing{
		begin: func() {
			joined = join("")
			if joined.ErrorCode == kerr.MemberIDRequired.Code {
				joined = join(joined.MemberID)
			}
			if err := kerr.ErrorForCode(joined.ErrorCode); err != nil {
				e.Fatalf("join %s: %v", group, err)
			}
		},
		end: func() {
			req := kmsg.NewPtrSyncGroupRequest()
			req.Group, req.MemberID, req.Generation = group, joined.MemberID, joined.Generation
			req.ProtocolType, req.Protocol = joined.ProtocolType, joined.Protocol
			assignment := kmsg.NewConsumerMemberAssignment()
			mine := kmsg.NewSyncGroupRequestGroupAssignment()
			mine.MemberID, mine.MemberAssignment = joined.MemberID, assignment.AppendTo(nil)
			req.GroupAssignment = append(req.GroupAssignment, mine)
			resp, err := req.RequestWith(e.Context(), e.client)
			if err != nil || resp.ErrorCode != 0 {
				e.Fatalf("sync %s: %v, error %v", group, err, kerr.ErrorForCode(resp.ErrorCode))
			}
		},
	}
}

// newConsumerMembers has two members of which the first does not hear of the second, and so keeps what it should give away.
func newConsumerMembers(e *env, group, topic string) rebalancing {
	const first, second = "Zmlyc3QtbWVtYmVyLWlk", "c2Vjb25kLW1lbWJlci1p"
	beat := func(member string, epoch int32, owned []kmsg.ConsumerGroupHeartbeatRequestTopic) *kmsg.ConsumerGroupHeartbeatResponse {
		req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		req.Group, req.MemberID, req.MemberEpoch, req.RebalanceTimeoutMillis = group, member, epoch, 60_000
		req.SubscribedTopicNames, req.Topics = []string{topic}, owned
		resp, err := req.RequestWith(e.Context(), e.client)
		if err != nil {
			e.Fatalf("heartbeat of %s: %v", group, err)
		}
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			e.Fatalf("heartbeat of %s: %v", group, err)
		}
		return resp
	}
	// settle beats until a member has said that it has as many partitions as wanted, and is its epoch.
	settle := func(member string, epoch int32, wanted int) int32 {
		var owned []kmsg.ConsumerGroupHeartbeatRequestTopic
		has := 0
		e.until("a member has its partitions", func() (bool, error) {
			said := has
			resp := beat(member, epoch, append([]kmsg.ConsumerGroupHeartbeatRequestTopic{}, owned...))
			epoch = resp.MemberEpoch
			if resp.Assignment != nil {
				owned, has = nil, 0
				for _, t := range resp.Assignment.Topics {
					one := kmsg.NewConsumerGroupHeartbeatRequestTopic()
					one.TopicID, one.Partitions = t.TopicID, t.Partitions
					owned, has = append(owned, one), has+len(t.Partitions)
				}
			}
			return said == wanted && has == wanted, nil
		})
		return epoch
	}
	var epoch int32
	return rebalancing{
		begin: func() {
			epoch = settle(first, 0, 2)
			beat(second, 0, []kmsg.ConsumerGroupHeartbeatRequestTopic{})
		},
		end: func() {
			beat(second, -1, nil)
			e.until("the group is stable", func() (bool, error) {
				epoch = settle(first, epoch, 2)
				listed, err := e.admin.ListGroups(e.Context())
				return strings.EqualFold(listed[group].State, "stable"), err
			})
		},
	}
}
