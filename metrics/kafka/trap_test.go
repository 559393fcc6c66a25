package kafka

import (
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"swell/api/config"
	"swell/api/v1alpha1"
)

// trap is a Kafka cluster of brokers that answer as they like, from the sockets on.
type trap struct {
	t         testing.TB
	addresses []string

	mu sync.Mutex
	// hostile are the bodies of the answers that are not honest; asked are the requests since they were given.
	hostile map[kmsg.Key][]byte
	asked   map[kmsg.Key]int
	// mean says which brokers are hostile; nil: all.
	mean func(broker int) bool
}

// trapPartitions are those of its only topic, which has 9 messages in each, of which the groups have read one.
const trapPartitions = 12

// trapGroups are the groups of a trap, the first of them a share group.
var trapGroups = []string{"s", "g1", "g2", "g3", "g4", "g5", "g6"}

func newTrap(t testing.TB, brokers int) *trap {
	t.Helper()
	tr := &trap{t: t, hostile: map[kmsg.Key][]byte{}, asked: map[kmsg.Key]int{}}
	for broker := range brokers {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		tr.addresses = append(tr.addresses, l.Addr().String())
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go tr.serve(conn, broker)
			}
		}()
	}
	return tr
}

// serve answers the requests of a connection.
func (tr *trap) serve(conn net.Conn, broker int) {
	defer conn.Close()
	for {
		var size [4]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(conn, frame); err != nil {
			return
		}
		key, version := kmsg.Key(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:]))
		tr.mu.Lock()
		var body []byte
		if tr.mean == nil || tr.mean(broker) {
			tr.asked[key]++
			body = tr.hostile[key]
		}
		tr.mu.Unlock()
		if body == nil {
			body = tr.honest(key, version, frame[8:])
		}
		head := binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))
		if _, err := conn.Write(append(head, frame[4:8]...)); err != nil {
			return
		}
		if _, err := conn.Write(body); err != nil {
			return
		}
	}
}

// spring has the answers be hostile from now on.
func (tr *trap) spring(hostile map[kmsg.Key][]byte) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.hostile, tr.asked = hostile, map[kmsg.Key]int{}
}

// requests are how often hostile brokers were asked since the trap was sprung.
func (tr *trap) requests(key kmsg.Key) int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.asked[key]
}

// honest is what a broker should answer to a request, both from behind the correlation id on.
func (tr *trap) honest(key kmsg.Key, version int16, request []byte) []byte {
	resp := kmsg.ResponseForKey(key.Int16())
	resp.SetVersion(version)
	switch r := resp.(type) {
	case *kmsg.ApiVersionsResponse:
		for k := range kmsg.MaxKey + 1 {
			if known := kmsg.RequestForKey(int16(k)); known != nil {
				one := kmsg.NewApiVersionsResponseApiKey()
				one.ApiKey, one.MaxVersion = int16(k), known.MaxVersion()
				r.ApiKeys = append(r.ApiKeys, one)
			}
		}
		return r.AppendTo(nil)
	case *kmsg.MetadataResponse:
		tr.metadata(r)
	case *kmsg.FindCoordinatorResponse:
		for i, name := range trapGroups {
			one := kmsg.NewFindCoordinatorResponseCoordinator()
			one.Key, one.NodeID = name, int32(i%len(tr.addresses))
			one.Host, one.Port = tr.address(i % len(tr.addresses))
			r.Coordinators = append(r.Coordinators, one)
		}
	case *kmsg.OffsetFetchResponse:
		tr.commits(r)
	case *kmsg.ListGroupsResponse:
		one := kmsg.NewListGroupsResponseGroup()
		one.Group, one.GroupType = trapGroups[0], "share"
		r.Groups = append(r.Groups, one)
	case *kmsg.ListOffsetsResponse:
		tr.offsets(r, request)
	}
	var body []byte
	if resp.IsFlexible() {
		body = append(body, 0)
	}
	return resp.AppendTo(body)
}

func (tr *trap) address(i int) (host string, port int32) {
	host, text, _ := net.SplitHostPort(tr.addresses[i])
	n, _ := strconv.Atoi(text)
	return host, int32(n)
}

func (tr *trap) metadata(r *kmsg.MetadataResponse) {
	for i := range tr.addresses {
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID = int32(i)
		b.Host, b.Port = tr.address(i)
		r.Brokers = append(r.Brokers, b)
	}
	topic := kmsg.NewMetadataResponseTopic()
	topic.Topic, topic.TopicID = kmsg.StringPtr("orders"), [16]byte{1}
	for n := range trapPartitions {
		one := kmsg.NewMetadataResponseTopicPartition()
		one.Partition, one.Leader = int32(n), int32(n%len(tr.addresses))
		topic.Partitions = append(topic.Partitions, one)
	}
	r.Topics = append(r.Topics, topic)
}

// offsets are 0 for the start of the log, else 9.
func (tr *trap) offsets(r *kmsg.ListOffsetsResponse, request []byte) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.SetVersion(r.Version)
	if err := req.ReadFrom(request[2+len("swell-metrics")+1:]); err != nil {
		tr.t.Error(err)
	}
	for _, topic := range req.Topics {
		t := kmsg.NewListOffsetsResponseTopic()
		t.Topic = topic.Topic
		for _, asked := range topic.Partitions {
			one := kmsg.NewListOffsetsResponseTopicPartition()
			one.Partition, one.Offset = asked.Partition, 9
			if asked.Timestamp == stampEarliest {
				one.Offset = 0
			}
			t.Partitions = append(t.Partitions, one)
		}
		r.Topics = append(r.Topics, t)
	}
}

func (tr *trap) commits(r *kmsg.OffsetFetchResponse) {
	for i, name := range trapGroups {
		g, topic := kmsg.NewOffsetFetchResponseGroup(), kmsg.NewOffsetFetchResponseGroupTopic()
		g.Group, topic.Topic = name, "orders"
		for n := range int32(trapPartitions) {
			one := kmsg.NewOffsetFetchResponseGroupTopicPartition()
			one.Partition, one.Offset = n, 1
			topic.Partitions = append(topic.Partitions, one)
		}
		if i > 0 {
			g.Topics = append(g.Topics, topic)
		}
		r.Groups = append(r.Groups, g)
	}
}

// caught is a poller of the trap, with a step of the time.
func (tr *trap) caught() (p *Poller, step func()) {
	tr.t.Helper()
	now := time.Now()
	cluster := config.KafkaCluster{Name: "main", Brokers: tr.addresses, ProveEmpty: true, PollEvery: metav1.Duration{Duration: 5 * time.Second},
		MetadataEvery: metav1.Duration{Duration: time.Hour}, RequestTimeout: metav1.Duration{Duration: 20 * time.Second}}
	p, err := NewPoller(Options{Cluster: cluster, Sink: sinkhole{}, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now },
		Random: func() float64 { return 0.5 },
		Wanted: func(string) (wants []Want) {
			for _, name := range trapGroups {
				wants = append(wants, Want{Group: name, Topics: Topics{names: []string{"orders"}}, Isolation: v1alpha1.ReadUncommitted, LateAfter: time.Minute, Ages: true})
			}
			return wants
		}})
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.t.Cleanup(p.Close)
	return p, func() {
		now = now.Add(cluster.PollEvery.Duration)
		_ = p.Poll(tr.t.Context())
	}
}
