package kafka

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"swell/metrics/lag"
)

// clusterView is what is remembered of the cluster from poll to poll: which broker to ask what.
type clusterView struct {
	topics map[string]*topicView
	at     time.Time
	// exprs are the expressions that topics were looked for by.
	exprs        map[string]bool
	coordinators map[string]int32
	brokers      map[int32]string
	// portions are the groups that stood in an answer which was too large, by name; gaps the topics in which a group's commits are gone.
	portions map[string]*portion
	gaps     map[gapKey]gap
	// behind is a broker that has last left out partitions which are known to be there, or anyBroker.
	behind int32
	// startsAt and stampsAt are when log starts and the topics' stamps were last looked at as a whole.
	startsAt, stampsAt time.Time
}

type topicView struct {
	id    [16]byte
	err   error
	parts []part
	// unknown are the reads of the metadata in a row that did not know the topic, gone what follows from them.
	unknown unknownTo
	gone    bool
	// stamped says that brokers stamp the topic's messages; stampsKnown that they were asked.
	stamped, stampsKnown bool
}

// part is what is known of one partition of a topic.
type part struct {
	leader int32
	// problem is why nobody leads it.
	problem string
	// asking has a bit for every answer that a request in flight owes, and known one for every answer that this poll has got.
	asking, known bits
	// needs are the answers that some group needs of this poll.
	needs bits
	// end and stable are the end offsets that this poll read.
	end, stable int64
	// failed is why this poll did not read what it needed.
	failed string
	// start is the log start as last read, or lag.Unknown; startDue says that it must be read again.
	start    int64
	startDue bool
	// least is the least commit of the groups that lag, or never.
	least int64
	// late are the ages that are asked about in this poll, in order, with what was answered; lateFailed is why something was not.
	late       []lag.LateFrom
	lateFailed string
	// before and beforeAt are the end of an earlier poll and when it was read; zero: none.
	before   int64
	beforeAt time.Time
	// age is what is known of the ages of its messages while some group asks for them and lags.
	age *age
	// oldest is the least offset that is unread by a group which asks for ages, or never.
	oldest int64
}

// isGone says that a topic has been deleted.
func (t *topicView) isGone() bool { return t != nil && t.gone }

// problem is why nothing is known of the topic's partitions; empty if they are known.
func (t *topicView) problem() string {
	switch {
	case t == nil:
		return "the topic's partitions are not known"
	case t.err != nil:
		return fmt.Sprintf("read the topic's metadata: %v%s", t.err, mendFor(t.err))
	case len(t.parts) == 0:
		return "the topic's partitions are not known"
	}
	return ""
}

// reset forgets where to ask what, and keeps what is known of topics and groups for when they are found again.
func (v *clusterView) reset() {
	brokers := v.brokers
	if brokers == nil {
		brokers = map[int32]string{}
	}
	topics := v.topics
	if topics == nil {
		topics = map[string]*topicView{}
	}
	*v = clusterView{topics: topics, coordinators: map[string]int32{}, brokers: brokers, portions: v.portions, gaps: v.gaps, behind: anyBroker}
}

// stale makes the next poll look at topics and leaders afresh.
func (v *clusterView) stale() { v.at = time.Time{} }

// topic finds a topic, nil where there is none.
func (v *clusterView) topic(name string) *topicView { return v.topics[name] }

// part finds a partition, nil where there is none.
func (v *clusterView) part(topic string, n int32) *part {
	t := v.topics[topic]
	if t == nil || n < 0 || int(n) >= len(t.parts) {
		return nil
	}
	return &t.parts[n]
}

func (v *clusterView) addBroker(id int32, host string, port int32) {
	v.brokers[id] = net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// broker is how a message names a broker.
func (v *clusterView) broker(id int32) string { return fmt.Sprintf("%d (%s)", id, v.brokers[id]) }
