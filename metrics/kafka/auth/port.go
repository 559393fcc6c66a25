package auth

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/api/config"
	"swell/metrics/kafka/wire"
)

// A port of another kind than the configuration says is found out by asking it, since what one sees of it otherwise is a
// connection that ends, or none that begins: which a broker that is down shows as well.

// misfit is the error of a port that is of another kind.
func (i *Identity) misfit(address, is, mend string) error {
	return explained{fmt.Errorf("reach Kafka cluster %q: connect to broker %s: %s: %s", i.cluster.Name, address, is, mend)}
}

func (i *Identity) withoutTLS(address string) error {
	return i.misfit(address, "it answers without TLS", fmt.Sprintf("remove %s, or give its TLS port in %s", fieldOf(i.cluster, "tls"), fieldOf(i.cluster, "brokers")))
}

func (i *Identity) withTLS(address string) error {
	return i.misfit(address, "its port speaks TLS", fmt.Sprintf("give %s, or its port without TLS in %s", fieldOf(i.cluster, "tls"), fieldOf(i.cluster, "brokers")))
}

func (i *Identity) withLogin(address string, offered []string) error {
	return i.misfit(address, "its port wants a login, by "+strings.Join(offered, ", "),
		fmt.Sprintf("give %s, or its port without a login in %s", fieldOf(i.cluster, "sasl"), fieldOf(i.cluster, "brokers")))
}

func (i *Identity) withoutLogin(address string) error {
	return i.misfit(address, "its port has no login", fmt.Sprintf("remove %s, or give its port with SASL in %s", fieldOf(i.cluster, "sasl"), fieldOf(i.cluster, "brokers")))
}

// probing is how long a port may take to say of what kind it is; machine time.
func probing(k config.KafkaCluster) time.Duration { return timeout(k) / 3 }

// dial connects to a broker as the configuration says, over a connection that finds out why it ends if it does so at once.
func (i *Identity) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := i.bare(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &young{Conn: conn, identity: i, address: address}, nil
}

// bare connects to a broker.
func (i *Identity) bare(ctx context.Context, network, address string) (net.Conn, error) {
	if i.tls != nil {
		return i.dialTLS(ctx, network, address)
	}
	return (&net.Dialer{Timeout: timeout(i.cluster)}).DialContext(ctx, network, address)
}

// young is a connection of which nothing is known yet. The client writes in one goroutine and reads in another.
type young struct {
	net.Conn
	identity *Identity
	address  string
	// read says that something came, asked that more than a greeting and a login was sent, answered that something came since.
	read, asked, answered atomic.Bool
}

// Write notes whether more than the greeting and the login is asked.
func (y *young) Write(request []byte) (int, error) {
	if len(request) >= 6 {
		switch kmsg.Key(binary.BigEndian.Uint16(request[4:])) {
		case kmsg.ApiVersions, kmsg.SASLHandshake, kmsg.SASLAuthenticate:
		default:
			y.asked.Store(true)
		}
	}
	return y.Conn.Write(request)
}

// Read finds out why a connection ends on which nothing was answered yet.
func (y *young) Read(into []byte) (int, error) {
	n, err := y.Conn.Read(into)
	switch {
	case n > 0:
		first := !y.read.Swap(true)
		if y.asked.Load() {
			y.answered.Store(true)
		}
		if first && y.identity.tls == nil && n > 1 && (into[0] == 0x15 || into[0] == 0x16) && into[1] == 3 {
			return 0, y.identity.withTLS(y.address)
		}
	case hungUp(err) && !y.answered.Load():
		if why := y.why(); why != nil {
			return n, why
		}
	}
	return n, err
}

// why is the error of a port of another kind that has hung up, nil where it is of the kind that it should be.
func (y *young) why() error {
	i := y.identity
	ctx, cancel := context.WithTimeout(context.Background(), probing(i.cluster))
	defer cancel()
	switch {
	case i.tls == nil && !y.read.Load():
		if speaksTLS(ctx, y.address) {
			return i.withTLS(y.address)
		}
	case i.mechanism == nil && y.read.Load():
		if offered := i.logins(ctx, y.address); len(offered) > 0 && !i.answersAnyone(ctx, y.address) {
			return i.withLogin(y.address, offered)
		}
	case i.mechanism != nil && y.read.Load() && !y.asked.Load():
		if i.answersAnyone(ctx, y.address) {
			return i.withoutLogin(y.address)
		}
	}
	return nil
}

func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// ask sends one request over a new connection and reads the answer.
func ask(ctx context.Context, dial wire.DialFunc, address string, req kmsg.Request) (kmsg.Response, error) {
	conn, err := wire.Guard(dial)(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if _, err := conn.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID("swell")).AppendRequest(nil, req, 1)); err != nil {
		return nil, err
	}
	head := make([]byte, 8)
	if _, err := io.ReadFull(conn, head); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head)-4)
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	return resp, resp.ReadFrom(body)
}

// speaksPlain says whether a port answers to Kafka's protocol without TLS.
func speaksPlain(ctx context.Context, address string) bool {
	_, err := ask(ctx, new(net.Dialer).DialContext, address, kmsg.NewPtrApiVersionsRequest())
	return err == nil
}

// speaksTLS says whether a port answers to a TLS handshake. Who it is does not matter: nothing is sent to it or believed of it.
func speaksTLS(ctx context.Context, address string) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer conn.Close()
	err = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx)
	var remote *net.OpError
	return err == nil || errors.As(err, &remote) && remote.Op == "remote error"
}

// logins are the mechanisms of SASL that a port offers: it names them to a client that wants another one.
func (i *Identity) logins(ctx context.Context, address string) []string {
	req := kmsg.NewPtrSASLHandshakeRequest()
	req.Version, req.Mechanism = 1, "NONE"
	resp, err := ask(ctx, i.bare, address, req)
	if err != nil {
		return nil
	}
	return resp.(*kmsg.SASLHandshakeResponse).SupportedMechanisms
}

// answersAnyone says whether a port answers to a client that has not logged in.
func (i *Identity) answersAnyone(ctx context.Context, address string) bool {
	req := kmsg.NewPtrMetadataRequest()
	req.Version, req.Topics = 1, []kmsg.MetadataRequestTopic{}
	_, err := ask(ctx, i.bare, address, req)
	return err == nil
}
