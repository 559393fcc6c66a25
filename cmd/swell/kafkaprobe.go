package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"swell/api/config"
	"swell/metrics/kafka/auth"
)

// kafkaProbe tries out one cluster, from its addresses to the ACLs.
type kafkaProbe struct {
	cluster        config.KafkaCluster
	identity       *auth.Identity
	groups, topics []string
	report         *kafkaReport
	client         *kgo.Client
	versions       *kversion.Versions
}

func (p *kafkaProbe) run(ctx context.Context) {
	reached := ""
	for _, broker := range p.cluster.Brokers {
		if p.reach(ctx, broker) && reached == "" {
			reached = broker
		}
	}
	p.warnOfPlainText()
	if reached == "" || !p.offers(ctx, reached) || !p.speak(ctx, reached) {
		return
	}
	client, err := p.dial(p.cluster.Brokers, p.identity.Options())
	if err != nil {
		p.failed("client", "", err)
		return
	}
	p.client = client
	defer client.Close()
	if p.metadata(ctx) {
		p.rights(ctx)
	}
}

// within is a context for one request.
func (p *kafkaProbe) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, p.cluster.RequestTimeout.Duration)
}

// dial makes a client; it connects with its first request.
func (p *kafkaProbe) dial(brokers []string, opts []kgo.Opt) (*kgo.Client, error) {
	timeout := p.cluster.RequestTimeout.Duration
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(brokers...), kgo.ClientID("swell-check"), kgo.DialTimeout(timeout), kgo.RetryTimeout(timeout), kgo.RequestRetries(1),
		kgo.RequestTimeoutOverhead(timeout), kgo.DisableClientMetrics(),
	}, opts...)...)
}

const noConnection = "check that the broker runs and listens there, and firewalls and network policies"

// reach resolves a bootstrap address and connects to it.
func (p *kafkaProbe) reach(ctx context.Context, broker string) bool {
	ctx, cancel := p.within(ctx)
	defer cancel()
	host, _, err := net.SplitHostPort(broker)
	if err != nil {
		return p.failed("resolve", broker, err)
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return p.failed("resolve", broker, fmt.Errorf("%w: correct clusters[name=%s].brokers, or the DNS", err, p.cluster.Name))
	}
	p.report.add(stepOK, "resolve", broker, "%s", strings.Join(addresses, ", "))
	if p.cluster.TLS == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", broker)
		if err != nil {
			return p.failed("connect", broker, fmt.Errorf("%w: %s", err, noConnection))
		}
		_ = conn.Close()
		p.report.add(stepOK, "connect", broker, "TCP")
		return true
	}
	h, err := p.identity.Handshake(ctx, broker)
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return p.failed("connect", broker, fmt.Errorf("%w: %s", err, noConnection))
	}
	if err != nil {
		return p.failed("tls", broker, err)
	}
	p.report.add(expiring(h.NotAfter), "tls", broker, "%s; broker's certificate %s by %s for %s, until %s", h.Version, h.Subject, h.Issuer,
		strings.Join(h.Names, ", "), until(h.NotAfter))
	if h.OwnSubject != "" {
		p.report.add(expiring(h.OwnNotAfter), "tls", broker, "own certificate %s, until %s", h.OwnSubject, until(h.OwnNotAfter))
	}
	return true
}

const soon = 7 * 24 * time.Hour

func expiring(at time.Time) stepStatus {
	if time.Until(at) < soon {
		return stepWarning
	}
	return stepOK
}

func until(at time.Time) string {
	text := fmt.Sprintf("%s (%.1f days)", at.UTC().Format(time.RFC3339), time.Until(at).Hours()/24)
	if time.Until(at) < soon {
		text += ": renew it"
	}
	return text
}

func (p *kafkaProbe) warnOfPlainText() {
	if p.cluster.TLS != nil || p.cluster.SASL == nil {
		return
	}
	if m := p.cluster.SASL.Mechanism; m == config.SASLPlain || m == config.SASLOAuthBearer {
		p.report.add(stepWarning, "tls", "", "%s without TLS sends the secret in plain text: give clusters[name=%s].tls", m, p.cluster.Name)
	}
}

// offers asks which logins there are before any, so that what is wrong afterwards is the login itself.
func (p *kafkaProbe) offers(ctx context.Context, broker string) bool {
	if p.cluster.SASL == nil {
		return true
	}
	client, err := p.dial([]string{broker}, p.identity.DialOptions())
	if err != nil {
		return p.failed("login", broker, err)
	}
	defer client.Close()
	ctx, cancel := p.within(ctx)
	defer cancel()
	req := kmsg.NewPtrSASLHandshakeRequest()
	req.Mechanism = string(p.cluster.SASL.Mechanism)
	resp, err := req.RequestWith(ctx, oneBroker(client))
	if err == nil {
		if err = kerr.ErrorForCode(resp.ErrorCode); errors.Is(err, kerr.UnsupportedSaslMechanism) {
			err = fmt.Errorf("it offers %s: %w", strings.Join(resp.SupportedMechanisms, ", "), err)
		}
	}
	if err != nil {
		return p.failed("login", broker, err)
	}
	return true
}

// speak logs in and asks for the versions.
func (p *kafkaProbe) speak(ctx context.Context, broker string) bool {
	step := "versions"
	if p.cluster.SASL != nil {
		step = "login"
	}
	client, err := p.dial([]string{broker}, p.identity.Options())
	if err != nil {
		return p.failed(step, broker, err)
	}
	defer client.Close()
	ctx, cancel := p.within(ctx)
	defer cancel()
	resp, err := askVersions().RequestWith(ctx, oneBroker(client))
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return p.failed(step, broker, err)
	}
	if p.cluster.SASL != nil {
		p.report.add(stepOK, step, broker, "%s%s", p.cluster.SASL.Mechanism, as(*p.cluster.SASL))
	}
	p.versions = kversion.FromApiVersionsResponse(resp)
	// A guess such as "between v1.0 and v4.0" is of what speaks Kafka's protocol and is not Apache Kafka.
	if guess := p.versions.VersionGuess(); strings.HasPrefix(guess, "v") || strings.HasPrefix(guess, "at least") {
		p.report.KafkaVersion = guess
	}
	p.judgeVersions(broker)
	return true
}

// askVersions is the request that every broker answers; it must say who asks.
func askVersions() *kmsg.ApiVersionsRequest {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "swell-check", "1"
	return req
}

// oneBroker asks the first seed of a client and no other.
func oneBroker(c *kgo.Client) kmsg.Requestor { return brokerRequestor{c.SeedBrokers()[0]} }

type brokerRequestor struct{ *kgo.Broker }

// Keys of the requests that swell-metrics needs, and from which version on.
const (
	listOffsetsKey       = 2
	offsetFetchKey       = 9
	listGroupsKey        = 16
	shareGroupOffsetsKey = 90
)

func (p *kafkaProbe) judgeVersions(broker string) {
	newest := func(key int16) int16 {
		if v, ok := p.versions.LookupMaxKeyVersion(key); ok {
			return v
		}
		return -1
	}
	what := "Kafka " + p.report.KafkaVersion
	if p.report.KafkaVersion == "" {
		what = "no release of Apache Kafka speaks like it"
	}
	if v := newest(offsetFetchKey); v < 8 {
		p.report.add(stepFailed, "versions", broker, "%s: OffsetFetch up to version %d, and many groups at once need 8: use Kafka 3.0 or newer", what, v)
		return
	}
	if v := newest(listOffsetsKey); v < 2 {
		p.report.add(stepFailed, "versions", broker, "%s: ListOffsets up to version %d, and read-committed needs 2: use Kafka 3.0 or newer", what, v)
		return
	}
	p.report.add(stepOK, "versions", broker, "%s: OffsetFetch %d, ListOffsets %d, ListGroups %d", what, newest(offsetFetchKey), newest(listOffsetsKey), newest(listGroupsKey))
	switch newest(shareGroupOffsetsKey) {
	case -1:
		p.report.add(stepOK, "share groups", broker, "this Kafka has none")
	case 0:
		p.report.add(stepWarning, "share groups", broker, "their lag cannot be read: it needs DescribeShareGroupOffsets 1, Kafka 4.2 or newer")
	default:
		p.report.add(stepOK, "share groups", broker, "their lag can be read")
	}
}

func as(s config.KafkaSASL) string {
	switch {
	case s.Username != "":
		return fmt.Sprintf(" as user %q", s.Username)
	case s.OAuth != nil:
		return fmt.Sprintf(" as client %q of %s", s.OAuth.ClientID, s.OAuth.TokenURL)
	case s.AWS != nil && s.AWS.RoleARN != "":
		return " as " + s.AWS.RoleARN
	}
	return ""
}

// metadata reads which brokers there are, and connects to each as it calls itself.
func (p *kafkaProbe) metadata(ctx context.Context) bool {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	asked, cancel := p.within(ctx)
	defer cancel()
	resp, err := req.RequestWith(asked, p.client)
	if err != nil {
		return p.failed("metadata", "", err)
	}
	p.report.add(stepOK, "metadata", "", "brokers: %d", len(resp.Brokers))
	slices.SortFunc(resp.Brokers, func(a, b kmsg.MetadataResponseBroker) int { return int(a.NodeID - b.NodeID) })
	for _, b := range resp.Brokers {
		at := fmt.Sprintf("%d (%s)", b.NodeID, net.JoinHostPort(b.Host, fmt.Sprint(b.Port)))
		asked, cancel := p.within(ctx)
		_, err := p.client.Broker(int(b.NodeID)).Request(asked, askVersions())
		cancel()
		if err != nil {
			p.failed("broker", at, fmt.Errorf("%w: the broker's advertised.listeners must have an address that swell-metrics can reach", err))
			continue
		}
		p.report.add(stepOK, "broker", at, "answers at the address that it advertises")
	}
	return true
}
