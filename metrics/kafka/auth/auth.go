// Package auth makes connections to Kafka: TLS, and who swell is to the brokers.
//
// Certificates, passwords and tokens are read at every new connection, so that they rotate without a restart. A file that
// cannot be read or parsed, as while it is being replaced, is passed over with a warning as long as its last good content
// can still be used; where there is none, the connection fails with an error that names the file. What can be parsed is
// used: a certificate of the wrong authority is for the broker to refuse. No error and no log line holds a secret.
package auth

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"

	"swell/api/config"
)

// Identity is how one Kafka cluster is dialled, and who swell is to it.
type Identity struct {
	cluster   config.KafkaCluster
	tls       *tlsFiles
	mechanism sasl.Mechanism
}

// New makes the identity of a cluster whose configuration was validated. No file is read and nothing is dialled before the
// first connection. The log tells of files that are passed over; nil is slog.Default.
func New(k config.KafkaCluster, log *slog.Logger) (*Identity, error) {
	if log == nil {
		log = slog.Default()
	}
	log = log.With("cluster", k.Name)
	i := &Identity{cluster: k}
	if k.TLS != nil {
		i.tls = newTLSFiles(fieldOf(k, "tls"), *k.TLS, log)
	}
	if k.SASL == nil {
		return i, nil
	}
	switch k.SASL.Mechanism {
	case config.SASLPlain, config.SASLScramSHA256, config.SASLScramSHA512:
		i.mechanism = password(k, log)
	case config.SASLOAuthBearer:
		if k.SASL.OAuth == nil {
			return nil, fmt.Errorf("%s is missing: OAUTHBEARER needs it", fieldOf(k, "sasl.oauth"))
		}
		i.mechanism = newBearer(k, log)
	case config.SASLAWSMSKIAM:
		i.mechanism = newMSK(k)
	default:
		return nil, fmt.Errorf("%s is %q: give a mechanism that swell check knows", fieldOf(k, "sasl.mechanism"), k.SASL.Mechanism)
	}
	return i, nil
}

// Options are what a client of the cluster needs to dial and to say who it is.
func Options(k config.KafkaCluster) ([]kgo.Opt, error) {
	i, err := New(k, nil)
	if err != nil {
		return nil, err
	}
	return i.Options(), nil
}

// Options are those of DialOptions and SASLOptions.
func (i *Identity) Options() []kgo.Opt { return append(i.DialOptions(), i.SASLOptions()...) }

// DialOptions are the part of Options without SASL.
func (i *Identity) DialOptions() []kgo.Opt { return []kgo.Opt{kgo.Dialer(i.dial)} }

// SASLOptions are the SASL part of Options.
func (i *Identity) SASLOptions() []kgo.Opt {
	if i.mechanism == nil {
		return nil
	}
	return []kgo.Opt{kgo.SASL(i.mechanism)}
}

// timeout is how long a dial with its handshake, or a token, may take; machine time.
func timeout(k config.KafkaCluster) time.Duration {
	if d := k.RequestTimeout.Duration; d > 0 {
		return d
	}
	return 5 * time.Second
}

// fieldOf names a field of a cluster's configuration.
func fieldOf(k config.KafkaCluster, field string) string {
	return fmt.Sprintf("clusters[name=%s].%s", k.Name, field)
}
