package kafka

import (
	"log/slog"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/metrics/kafka/wire"
	"swell/metrics/lag"
	"swell/metrics/store"
)

// besieged is a poller in the middle of a poll of two groups, with a topic that is asked about and one that is not.
type besieged struct {
	*Poller
	group, share *groupPoll
	at           time.Time
	key          proofKey
}

type sinkhole struct{}

func (sinkhole) Record(store.Key, store.Poll)      {}
func (sinkhole) Fail(store.Key, time.Time, string) {}
func (sinkhole) Keep(string, func(string) bool)    {}

// unconnected is a poller that has nobody to talk to.
func unconnected(t testing.TB, now time.Time) *Poller {
	t.Helper()
	cluster := config.KafkaCluster{Name: "main", Brokers: []string{"127.0.0.1:1"}, ProveEmpty: true,
		PollEvery: metav1.Duration{Duration: 5 * time.Second}, RequestTimeout: metav1.Duration{Duration: 5 * time.Second}}
	p, err := NewPoller(Options{Cluster: cluster, Sink: sinkhole{}, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func besiege(t testing.TB) *besieged {
	t.Helper()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := unconnected(t, at)
	b := &besieged{Poller: p, at: at}
	topics := []Topics{{names: []string{"orders"}}}
	w := func() *want {
		return &want{topics: topics, stable: true, latest: true, ages: true, lateAfter: []time.Duration{time.Minute, time.Hour}}
	}
	b.group = &groupPoll{name: "g", want: w(), memory: &groupMemory{}, commits: commits{}}
	b.share = &groupPoll{name: "s", want: w(), memory: &groupMemory{share: true}, commits: commits{}}
	for _, topic := range []string{"orders", "other"} {
		tv := &topicView{id: [16]byte{1, topic[1]}, parts: make([]part, 3)}
		for i := range tv.parts {
			tv.parts[i] = newPart("")
			tv.parts[i].leader = 1
		}
		p.view.topics[topic] = tv
	}
	p.view.addBroker(1, "127.0.0.1", 1)
	p.view.coordinators["g"], p.view.coordinators["s"] = 1, 1
	b.key = proofKey{topicID: p.view.topics["orders"].id, n: 0, commit: 2, end: 6, committed: true}
	p.proofs = map[proofKey]*proof{b.key: {readable: lag.Unknown}}
	return b
}

// take lets a response be believed as far as it is, the way a poll does.
func (b *besieged) take(resp kmsg.Response) {
	groups := []*groupPoll{b.group, b.share}
	switch r := resp.(type) {
	case *kmsg.OffsetFetchResponse:
		_ = b.takeCommits(r, 1, groups)
	case *kmsg.DescribeShareGroupOffsetsResponse:
		_ = b.takeShares(r, 1, groups)
	case *kmsg.FindCoordinatorResponse:
		_ = b.takeCoordinators(r, byName(groups))
	case *kmsg.MetadataResponse:
		b.view.take(r, b.at, needs{names: map[string]bool{"orders": true}}, 1)
	case *kmsg.ListOffsetsResponse:
		b.survey(groups)
		b.takeAll(r)
	case *kmsg.DescribeConfigsResponse:
		_ = takeStamps(r, map[string]*topicView{"orders": b.view.topics["orders"]})
	case *kmsg.ListGroupsResponse:
		_ = b.typesJob(1, groups, b.at).take(r)
		_ = statesJob(1, groups).take(r)
	case *kmsg.FetchResponse:
		_ = b.takeFetch(r, []stretch{{topic: "orders", key: b.key, pt: &part{leader: 1}}})
	}
}

// takeAll believes a response in the place of every ListOffsets answer of a poll.
func (b *besieged) takeAll(r *kmsg.ListOffsetsResponse) {
	for _, kind := range []bits{latest, stable, starting} {
		l := listing{kind: kind, fail: func(pt *part, problem string) { pt.failed = problem },
			stamp: func(pt *part) (int64, bool) { return stampLatest, pt.needs != 0 },
			take: func(pt *part, offset int64) {
				pt.known |= kind
				switch kind {
				case latest:
					pt.end = offset
				case stable:
					pt.stable = offset
				default:
					pt.start = offset
				}
			}}
		b.believe(r, l)
	}
	groups := []*groupPoll{b.group, b.share}
	b.judge(groups)
	b.followAges(b.at)
	for _, jobs := range [][]job{b.lateJobs(b.at), b.ageJobs(b.at)} {
		for _, j := range jobs {
			_ = j.take(r)
		}
	}
	b.proofJobs(groups)
}

func (b *besieged) believe(r *kmsg.ListOffsetsResponse, l listing) {
	for _, j := range b.listJobs(b.asked, l) {
		_ = j.take(r)
	}
}

// check fails if something was believed that nobody asked for, or if what was believed cannot be told.
func (b *besieged) check(t *testing.T) {
	t.Helper()
	if tv := b.view.topic("other"); tv != nil {
		for n := range tv.parts {
			if pt := &tv.parts[n]; pt.known != 0 || pt.start >= 0 || pt.asking != 0 || len(pt.late) != 0 || tv.stamped {
				t.Errorf("a topic that nobody asked about is believed: %+v", pt)
			}
		}
	}
	if b.view.topic("stranger") != nil || b.view.coordinators["stranger"] != 0 {
		t.Error("a topic or group that nobody asked about is kept")
	}
	b.chooseTopics([]*groupPoll{b.group, b.share}, maxBeside)
	for _, g := range []*groupPoll{b.group, b.share} {
		for topic, all := range g.commits {
			if topic != "orders" {
				t.Errorf("commits of topic %q are kept", topic)
			}
			for i, c := range all {
				if c.offset < lag.Unknown || c.lag < lag.Unknown || i > 0 && all[i-1].n >= c.n {
					t.Errorf("commits %+v", all)
				}
			}
		}
		for _, r := range b.readings(b.at, g) {
			rules := lateRules(time.Minute)
			if n, problem := lag.Of(r, rules); problem == "" && n < 0 {
				t.Errorf("lag %d of %+v", n, r)
			}
			if r.Readable > b.key.end && r.Readable != lag.Unknown && r.Partition == b.key.n && r.End == b.key.end {
				t.Errorf("proven beyond the end: %+v", r)
			}
		}
		lag.Add(b.readings(b.at, g), lateRules(time.Minute))
	}
}

// seeds are honest answers and a few that are not.
func seeds() []kmsg.Response {
	commits := kmsg.NewPtrOffsetFetchResponse()
	for _, name := range []string{"g", "g", "stranger"} {
		g := kmsg.NewOffsetFetchResponseGroup()
		g.Group = name
		for _, topic := range []string{"orders", "other", "orders"} {
			t := kmsg.NewOffsetFetchResponseGroupTopic()
			t.Topic = topic
			for _, n := range []int32{0, 1, 0, -1, math.MaxInt32} {
				one := kmsg.NewOffsetFetchResponseGroupTopicPartition()
				one.Partition, one.Offset = n, int64(n)-1
				t.Partitions = append(t.Partitions, one)
			}
			g.Topics = append(g.Topics, t)
		}
		commits.Groups = append(commits.Groups, g)
	}
	offsets := kmsg.NewPtrListOffsetsResponse()
	for _, topic := range []string{"orders", "other", "orders"} {
		t := kmsg.NewListOffsetsResponseTopic()
		t.Topic = topic
		for _, n := range []int32{0, 0, 1, 2, -7, 99} {
			one := kmsg.NewListOffsetsResponseTopicPartition()
			one.Partition, one.Offset, one.Timestamp = n, math.MaxInt64-int64(n), -5
			t.Partitions = append(t.Partitions, one)
		}
		offsets.Topics = append(offsets.Topics, t)
	}
	metadata := kmsg.NewPtrMetadataResponse()
	for i, n := range []int32{1, -1, 1} {
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID, b.Host, b.Port = n, "h", -1
		metadata.Brokers = append(metadata.Brokers, b)
		t := kmsg.NewMetadataResponseTopic()
		t.Topic = kmsg.StringPtr([]string{"orders", "stranger", "orders"}[i])
		for _, n := range []int32{0, 5, -1, math.MaxInt32} {
			one := kmsg.NewMetadataResponseTopicPartition()
			one.Partition, one.Leader = n, n
			t.Partitions = append(t.Partitions, one)
		}
		metadata.Topics = append(metadata.Topics, t, kmsg.NewMetadataResponseTopic())
	}
	all := append([]kmsg.Response{commits, offsets, metadata}, smallSeeds()...)
	for _, resp := range all {
		resp.SetVersion(min(resp.MaxVersion(), offsetFetchMost))
	}
	return all
}

func smallSeeds() []kmsg.Response {
	shares := kmsg.NewPtrDescribeShareGroupOffsetsResponse()
	g, t, one := kmsg.NewDescribeShareGroupOffsetsResponseGroup(), kmsg.NewDescribeShareGroupOffsetsResponseGroupTopic(), kmsg.NewDescribeShareGroupOffsetsResponseGroupTopicPartition()
	g.GroupID, t.Topic, one.StartOffset, one.Lag = "s", "orders", -9, -9
	t.Partitions = append(t.Partitions, one, one)
	g.Topics = append(g.Topics, t)
	shares.Groups = append(shares.Groups, g, g)
	fetch := kmsg.NewPtrFetchResponse()
	ft, fp := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
	ft.Topic, fp.RecordBatches = "orders", make([]byte, 80)
	fp.RecordBatches[11], fp.RecordBatches[16] = 68, 2
	ft.Partitions = append(ft.Partitions, fp, fp)
	fetch.Topics = append(fetch.Topics, ft)
	list, coordinators, configs := kmsg.NewPtrListGroupsResponse(), kmsg.NewPtrFindCoordinatorResponse(), kmsg.NewPtrDescribeConfigsResponse()
	for _, name := range []string{"g", "s", "stranger", "g"} {
		lg := kmsg.NewListGroupsResponseGroup()
		lg.Group, lg.GroupType, lg.GroupState = name, "share", "Assigning"
		list.Groups = append(list.Groups, lg)
		c := kmsg.NewFindCoordinatorResponseCoordinator()
		c.Key, c.NodeID = name, -3
		coordinators.Coordinators = append(coordinators.Coordinators, c)
	}
	for _, topic := range []string{"orders", "other"} {
		r, c := kmsg.NewDescribeConfigsResponseResource(), kmsg.NewDescribeConfigsResponseResourceConfig()
		r.ResourceType, r.ResourceName, c.Name, c.Value = kmsg.ConfigResourceTypeTopic, topic, stampConfig, kmsg.StringPtr(brokerStamped)
		r.Configs = append(r.Configs, c, kmsg.NewDescribeConfigsResponseResourceConfig())
		configs.Resources = append(configs.Resources, r)
	}
	return []kmsg.Response{shares, fetch, list, coordinators, configs}
}

// answers are the kinds that a poll takes.
func answers() []kmsg.Response {
	return []kmsg.Response{kmsg.NewPtrOffsetFetchResponse(), kmsg.NewPtrDescribeShareGroupOffsetsResponse(), kmsg.NewPtrFindCoordinatorResponse(),
		kmsg.NewPtrMetadataResponse(), kmsg.NewPtrListOffsetsResponse(), kmsg.NewPtrDescribeConfigsResponse(), kmsg.NewPtrListGroupsResponse(),
		kmsg.NewPtrFetchResponse()}
}

// dice make an answer out of bytes: any structure, with names and numbers that hurt more often than by chance.
type dice struct{ left []byte }

func (d *dice) next() byte {
	if len(d.left) == 0 {
		return 0
	}
	b := d.left[0]
	d.left = d.left[1:]
	return b
}

var (
	names   = []string{"orders", "g", "s", "other", "stranger", "", stampConfig, brokerStamped, "share", "Assigning"}
	numbers = []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1, -2, math.MaxInt64, math.MinInt64, math.MaxInt32, 29, 30, 16, 69, 100}
)

func (d *dice) fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "UnknownTags" {
				d.fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		if d.next()%4 != 0 {
			v.Set(reflect.New(v.Type().Elem()))
			d.fill(v.Elem())
		}
	case reflect.Slice:
		n := int(d.next() % 5)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			d.fill(v.Index(i))
		}
	case reflect.Array:
		v.Index(0).SetUint(1)
		v.Index(1).SetUint(uint64(names[d.next()%4][0]) + uint64(d.next()%2))
	case reflect.String:
		v.SetString(names[int(d.next())%len(names)])
	case reflect.Bool:
		v.SetBool(d.next()%2 == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(numbers[int(d.next())%len(numbers)])
	case reflect.Uint8:
		v.SetUint(uint64(d.next()))
	}
}

// FuzzResponses feeds answers of any kinds to a poll.
func FuzzResponses(f *testing.F) {
	for i := range answers() {
		f.Add([]byte{byte(i), 8, 1, 0, 0, 1, 2, 0, 0, 1, 1, 0, 1, 2, 3, 4, 5})
		f.Add([]byte{3, 7, 1, 1, 1, 1, byte(i), 8, 2, 0, 1, 0, 3, 0, 10, 0, 0, 2})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b := besiege(t)
		d := &dice{data}
		for range 4 {
			kinds := answers()
			resp := kinds[int(d.next())%len(kinds)]
			d.fill(reflect.ValueOf(resp).Elem())
			resp.SetVersion(int16(d.next() % 20))
			b.take(resp)
			b.check(t)
		}
	})
}

func TestHostileAnswersAreBelievedAsFarAsAsked(t *testing.T) {
	for _, first := range seeds() {
		b := besiege(t)
		b.take(first)
		b.check(t)
		for _, second := range seeds() {
			b.take(second)
			b.check(t)
		}
	}
}

func TestBrokerIsBelievedAboutWhatItLeads(t *testing.T) {
	b := besiege(t)
	b.view.part("orders", 1).leader = 2
	b.survey([]*groupPoll{b.group})
	var took, failed int
	l := listing{kind: latest, stamp: func(*part) (int64, bool) { return stampLatest, true },
		take: func(*part, int64) { took++ }, fail: func(*part, string) { failed++ }}
	jobs := b.listJobs(b.asked, l)
	if len(jobs) != 2 {
		t.Fatalf("%d requests, want one for each leader", len(jobs))
	}
	resp := kmsg.NewPtrListOffsetsResponse()
	topic := kmsg.NewListOffsetsResponseTopic()
	topic.Topic = "orders"
	for n := range int32(3) {
		one := kmsg.NewListOffsetsResponseTopicPartition()
		one.Partition, one.Offset = n, 5
		topic.Partitions = append(topic.Partitions, one)
	}
	resp.Topics = append(resp.Topics, topic)
	if err := jobs[0].take(resp); err != nil || took != 2 || failed != 0 {
		t.Errorf("broker 1: %d partitions are believed, %d failed (%v), want its 2", took, failed, err)
	}
	jobs[1].fail("broker 2: EOF")
	if took != 2 || failed != 1 {
		t.Errorf("broker 2 failed: %d are believed, %d failed", took, failed)
	}
}

func TestTopicMadeAnewIsAnotherTopic(t *testing.T) {
	b := besiege(t)
	pt := b.view.part("orders", 0)
	pt.start, pt.age = 7, &age{}
	again := func(id [16]byte) *part {
		resp := kmsg.NewPtrMetadataResponse()
		topic, one := kmsg.NewMetadataResponseTopic(), kmsg.NewMetadataResponseTopicPartition()
		topic.Topic, topic.TopicID, one.Leader = kmsg.StringPtr("orders"), id, 1
		topic.Partitions = append(topic.Partitions, one)
		resp.Topics = append(resp.Topics, topic)
		b.view.take(resp, b.at, needs{names: map[string]bool{"orders": true}}, 1)
		return b.view.part("orders", 0)
	}
	if got := again(b.view.topic("orders").id); got.start != 7 || got.age == nil {
		t.Errorf("the same topic is forgotten: %+v", got)
	}
	if got := again([16]byte{9}); got.start >= 0 || got.age != nil {
		t.Errorf("the topic that was there before is remembered: %+v", got)
	}
}

func TestAnswersAreLimited(t *testing.T) {
	p := unconnected(t, time.Now())
	if got := p.client.OptValue(kgo.BrokerMaxReadBytes); got != int32(wire.MaxAnswer) {
		t.Errorf("answers of up to %v bytes are read", got)
	}
	if got := p.client.OptValue(kgo.MaxDecompressBatchBytes); got != batchBytes {
		t.Errorf("batches of up to %v bytes are unpacked", got)
	}
}
