package auth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"swell/api/config"
)

// explained is an error that names cluster, field and mend.
type explained struct{ error }

func (e explained) Unwrap() error { return e.error }

// Explain adds cluster, field and mend to an error of a client that has the identity's options, where the error is about
// TLS or SASL. Any other error, and nil, is returned as it is.
func (i *Identity) Explain(err error) error { return Explain(i.cluster, err) }

// Explain is Identity's, for those who have the configuration only.
func Explain(k config.KafkaCluster, err error) error {
	var done explained
	if err == nil || errors.As(err, &done) {
		return err
	}
	what := aboutTLS(k, err)
	if what == "" {
		what = aboutSASL(k, err)
	}
	if what == "" {
		return err
	}
	return explained{fmt.Errorf("reach Kafka cluster %q: %w: %s", k.Name, err, what)}
}

// aboutTLS is the mend of an error of the handshake, the brokers' half first.
func aboutTLS(k config.KafkaCluster, err error) string {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var notTLS tls.RecordHeaderError
	var remote *net.OpError
	switch {
	case errors.As(err, &unknown):
		if k.TLS == nil || k.TLS.CAFile == "" {
			return "name the authority of the brokers' certificates with " + fieldOf(k, "tls.caFile")
		}
		return fmt.Sprintf("add the authority of the brokers' certificates to %s of %s", k.TLS.CAFile, fieldOf(k, "tls.caFile"))
	case errors.As(err, &name):
		return fmt.Sprintf("give a name that the certificate has as %s, or dial the brokers by it in %s", fieldOf(k, "tls.serverName"), fieldOf(k, "brokers"))
	case errors.As(err, &invalid):
		if invalid.Reason == x509.Expired {
			return fmt.Sprintf("renew the brokers' certificate (%q, valid from %s to %s), or set this machine's clock; %s verifies it",
				invalid.Cert.Subject, invalid.Cert.NotBefore.Format("2006-01-02 15:04"), invalid.Cert.NotAfter.Format("2006-01-02 15:04"), fieldOf(k, "tls"))
		}
		return fmt.Sprintf("give the brokers a certificate for servers that %s can verify", fieldOf(k, "tls.caFile"))
	case errors.As(err, &remote) && remote.Op == "remote error":
		return refused(k, remote.Err)
	case k.TLS != nil && (errors.As(err, &notTLS) || isHandshakeEOF(err)):
		return fmt.Sprintf("name the brokers' TLS port in %s, or leave %s out where they speak plain text", fieldOf(k, "brokers"), fieldOf(k, "tls"))
	}
	return ""
}

// refused is the mend where the brokers refused the handshake.
func refused(k config.KafkaCluster, alert error) string {
	if k.TLS == nil || k.TLS.CertFile == "" {
		for _, a := range noCertificate { // the alert's own type is not exported; its text is
			if alert.Error() == a.Error() {
				return fmt.Sprintf("where the brokers want a certificate (mTLS), give %s and keyFile", fieldOf(k, "tls.certFile"))
			}
		}
		return fmt.Sprintf("the brokers refused the handshake: check that they speak TLS 1.2 or newer for %s", fieldOf(k, "tls"))
	}
	return fmt.Sprintf("the brokers refused the certificate in %s of %s: renew it, by an authority that is in the brokers' trust store",
		k.TLS.CertFile, fieldOf(k, "tls.certFile"))
}

// noCertificate are what brokers answer to a client without one, by RFC 8446, 6.2: certificate_required, and what servers
// say before TLS 1.3, bad_certificate and handshake_failure.
var noCertificate = []tls.AlertError{116, 42, 40}

// handshaking is an error of a connection whose TLS handshake was not done yet.
type handshaking struct{ error }

func (e handshaking) Unwrap() error { return e.error }

// isHandshakeEOF says that a broker hung up on the first bytes, as one does that takes them for a request. Later on it may hang up
// on a login.
func isHandshakeEOF(err error) bool {
	var early handshaking
	return errors.Is(err, io.EOF) && errors.As(err, &early)
}

// aboutSASL is the mend of a login that failed.
func aboutSASL(k config.KafkaCluster, err error) string {
	var hungUp *kgo.ErrFirstReadEOF
	eof := errors.As(err, &hungUp)
	switch {
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return fmt.Sprintf("the brokers' listener does not offer %s: choose another as %s, or another port in %s; swell check kafka lists what it offers",
			mechanismOf(k), fieldOf(k, "sasl.mechanism"), fieldOf(k, "brokers"))
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return fmt.Sprintf("the brokers refused %s", login(k))
	case k.SASL != nil && errors.Is(err, io.EOF): // also where a broker hangs up after the login's first message
		return fmt.Sprintf("the broker hung up: if it does so again, it may refuse %s; or its port is of another kind, see %s", login(k), fieldOf(k, "brokers"))
	case eof && k.TLS == nil:
		return fmt.Sprintf("the broker hung up: give %s where its port speaks TLS, and %s where it wants a login", fieldOf(k, "tls"), fieldOf(k, "sasl"))
	case eof:
		return fmt.Sprintf("the broker hung up: give %s where it wants a login, and %s where it wants a certificate", fieldOf(k, "sasl"), fieldOf(k, "tls.certFile"))
	case k.SASL != nil && errors.Is(err, kerr.IllegalSaslState):
		return fmt.Sprintf("the brokers' port has no login: remove %s, or give their port with SASL in %s", fieldOf(k, "sasl"), fieldOf(k, "brokers"))
	case k.SASL == nil && errors.Is(err, kerr.IllegalSaslState):
		return fmt.Sprintf("the brokers want a login: give %s", fieldOf(k, "sasl"))
	}
	return ""
}

func mechanismOf(k config.KafkaCluster) config.SASLMechanism {
	if k.SASL == nil {
		return ""
	}
	return k.SASL.Mechanism
}

// login names who was refused, and the fields and files to look at.
func login(k config.KafkaCluster) string {
	s := k.SASL
	switch {
	case s == nil:
		return "a client without a login: give " + fieldOf(k, "sasl")
	case s.Mechanism == config.SASLOAuthBearer:
		return fmt.Sprintf("the token of client %q: check audience, scopes and extensions in %s, and that the brokers trust %s",
			s.OAuth.ClientID, fieldOf(k, "sasl.oauth"), s.OAuth.TokenURL)
	case s.Mechanism == config.SASLAWSMSKIAM:
		return fmt.Sprintf("the AWS identity: allow it kafka-cluster:Connect on the cluster, and check region and roleARN in %s", fieldOf(k, "sasl.aws"))
	}
	return fmt.Sprintf("user %q: check %s, and the password in %s of %s", s.Username, fieldOf(k, "sasl.username"), s.PasswordFile, fieldOf(k, "sasl.passwordFile"))
}
