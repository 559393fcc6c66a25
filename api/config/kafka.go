package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// KafkaCluster is how one Kafka cluster is reached and how often it is asked.
type KafkaCluster struct {
	// Name is what QueueConsumers and selectors call it; a label's value, since HPAs select by it.
	Name string `json:"name"`
	// Brokers are bootstrap addresses, host:port.
	Brokers []string `json:"brokers"`
	// TLS is how the brokers are dialled and known; absent: in plain text.
	TLS *KafkaTLS `json:"tls,omitempty"`
	// SASL is who swell-metrics is to the brokers; absent: nobody, or the subject of its certificate.
	SASL *KafkaSASL `json:"sasl,omitempty"`
	// PollEvery is the time between two polls, at most 24h. Default: 5s.
	PollEvery metav1.Duration `json:"pollEvery,omitzero"`
	// StaleAfter is the age at which a sample is no longer served. Default: three polls.
	StaleAfter metav1.Duration `json:"staleAfter,omitzero"`
	// MetadataEvery is the time between two looks at topics, leaders, log starts and the groups' types. Default: fifteen polls.
	MetadataEvery metav1.Duration `json:"metadataEvery,omitzero"`
	// RequestTimeout is how long a broker may take for one answer, in the machine's time, 100ms to 15m; one that is quick as a rule gets
	// a third of it once most others have answered. Default: 5s.
	RequestTimeout metav1.Duration `json:"requestTimeout,omitzero"`
	// MaxRequestsPerSecond is the most that all brokers of the cluster together are asked, in the machine's time. What is not
	// needed for the lag (lateness, ages, proofs) is left out first. Default: 100.
	MaxRequestsPerSecond int `json:"maxRequestsPerSecond,omitempty"`
	// ProveEmpty lets swell-metrics fetch the little that is left at the end of a partition, to tell a lag that only transaction
	// markers make from messages. It needs Read on the topics.
	ProveEmpty bool `json:"proveEmpty,omitempty"`
}

// KafkaTLS names the files of a TLS connection. They are read again at each new connection, so that a rotated
// certificate needs no restart.
type KafkaTLS struct {
	// CAFile holds the certificates of who may have signed the brokers'; absent: the system's.
	CAFile string `json:"caFile,omitempty"`
	// CertFile and KeyFile are swell-metrics' own certificate (mTLS); both or neither.
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`
	// ServerName is the name that the brokers' certificates must have; absent: the host that is dialled.
	ServerName string `json:"serverName,omitempty"`
}

// SASLMechanism is how swell-metrics proves who it is.
type SASLMechanism string

// The mechanisms of Kafka, and Amazon MSK's own.
const (
	SASLPlain       SASLMechanism = "PLAIN"
	SASLScramSHA256 SASLMechanism = "SCRAM-SHA-256"
	SASLScramSHA512 SASLMechanism = "SCRAM-SHA-512"
	SASLOAuthBearer SASLMechanism = "OAUTHBEARER"
	SASLAWSMSKIAM   SASLMechanism = "AWS_MSK_IAM"
)

// KafkaSASL is an identity. Secrets stand in files, as a mounted Secret has them, and are read again at each new connection.
type KafkaSASL struct {
	// Mechanism is PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM.
	Mechanism SASLMechanism `json:"mechanism"`
	// Username and PasswordFile are for PLAIN and SCRAM.
	Username     string `json:"username,omitempty"`
	PasswordFile string `json:"passwordFile,omitempty"`
	// OAuth is for OAUTHBEARER.
	OAuth *OAuthClient `json:"oauth,omitempty"`
	// AWS is for AWS_MSK_IAM; absent: region and credentials are found as the AWS SDK finds them.
	AWS *MSKIdentity `json:"aws,omitempty"`
}

// OAuthClient is a client of an OpenID Connect provider, by the client credentials grant of RFC 6749, 4.4.
type OAuthClient struct {
	// TokenURL is the provider's token endpoint, https, since the client's secret is sent there.
	TokenURL string `json:"tokenURL"`
	// ClientID and the secret in ClientSecretFile are who asks for a token.
	ClientID         string `json:"clientID"`
	ClientSecretFile string `json:"clientSecretFile"`
	// Scopes that are asked for.
	Scopes []string `json:"scopes,omitempty"`
	// Audience is sent as the parameter of that name where it is not empty.
	Audience string `json:"audience,omitempty"`
	// CAFile holds the certificates of who may have signed the provider's; absent: the system's.
	CAFile string `json:"caFile,omitempty"`
	// Extensions are SASL extensions of RFC 7628 that the brokers want, as in logicalCluster; names are of letters, values are printable.
	Extensions map[string]string `json:"extensions,omitempty"`
}

// MSKIdentity is who signs for Amazon MSK.
type MSKIdentity struct {
	// Region is the cluster's; absent: as the broker's host name tells it, or else the SDK's own.
	Region string `json:"region,omitempty"`
	// RoleARN is a role that is assumed; absent: the credentials as they are found.
	RoleARN string `json:"roleARN,omitempty"`
}

func (k KafkaCluster) validate(field string) error {
	var problems []error
	if k.Name == "" {
		problems = append(problems, fmt.Errorf("%s.name is empty: give the name that QueueConsumers use as spec.kafka.cluster", field))
	} else if len(validation.IsValidLabelValue(k.Name)) > 0 {
		problems = append(problems, fmt.Errorf("%s.name is %q, which no selector can name: give at most 63 letters, digits, '-', '_' and '.', the first and the last a letter or digit",
			field, k.Name))
	}
	if len(k.Brokers) == 0 {
		problems = append(problems, fmt.Errorf("%s.brokers is empty: give at least one host:port", field))
	}
	for i, b := range k.Brokers {
		if host, port, err := net.SplitHostPort(b); err != nil || host == "" || !isPort(port) {
			problems = append(problems, fmt.Errorf("%s.brokers[%d] is %q: give host:port", field, i, b))
		}
	}
	problems = append(problems,
		positive(field+".pollEvery", k.PollEvery), positive(field+".staleAfter", k.StaleAfter),
		positive(field+".metadataEvery", k.MetadataEvery), positive(field+".requestTimeout", k.RequestTimeout))
	if d := k.RequestTimeout.Duration; d > 0 && (d < 100*time.Millisecond || d > 15*time.Minute) {
		problems = append(problems, fmt.Errorf("%s.requestTimeout is %s: give 100ms to 15m, or leave it out", field, d))
	}
	switch {
	case k.PollEvery.Duration > longestPoll:
		problems = append(problems, fmt.Errorf("%s.pollEvery is %s: give at most %s", field, k.PollEvery.Duration, longestPoll))
	case k.StaleAfter.Duration > 0 && k.StaleAfter.Duration < k.PollEvery.Duration:
		problems = append(problems, fmt.Errorf("%s.staleAfter %s is below pollEvery %s, so that every sample would be stale: give at least two polls",
			field, k.StaleAfter.Duration, k.PollEvery.Duration))
	}
	if k.MaxRequestsPerSecond < 0 {
		problems = append(problems, fmt.Errorf("%s.maxRequestsPerSecond is %d: give a number above zero, or leave it out", field, k.MaxRequestsPerSecond))
	}
	if t := k.TLS; t != nil && (t.CertFile == "") != (t.KeyFile == "") {
		problems = append(problems, fmt.Errorf("%s.tls names one of certFile and keyFile: give both, or neither", field))
	}
	if k.SASL != nil {
		problems = append(problems, k.SASL.validate(field+".sasl"))
		if k.SASL.Mechanism == SASLAWSMSKIAM && k.TLS == nil {
			problems = append(problems, fmt.Errorf("%s.tls is missing: AWS_MSK_IAM is spoken over TLS only, give tls: {}", field))
		}
	}
	return errors.Join(problems...)
}

// isPort says whether s is a port that can be dialled.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

var saslMechanisms = []SASLMechanism{SASLPlain, SASLScramSHA256, SASLScramSHA512, SASLOAuthBearer, SASLAWSMSKIAM}

func (s KafkaSASL) validate(field string) error {
	var problems []error
	needs := func(name string, given bool, mechanisms ...SASLMechanism) {
		wanted := slices.Contains(mechanisms, s.Mechanism)
		switch {
		case wanted && !given:
			problems = append(problems, fmt.Errorf("%s.%s is empty: %s needs it", field, name, s.Mechanism))
		case !wanted && given:
			problems = append(problems, fmt.Errorf("%s.%s is given, and %s does not use it: leave it out", field, name, s.Mechanism))
		}
	}
	if !slices.Contains(saslMechanisms, s.Mechanism) {
		return fmt.Errorf("%s.mechanism is %q: give one of %s", field, s.Mechanism, joined(saslMechanisms))
	}
	needs("username", s.Username != "", SASLPlain, SASLScramSHA256, SASLScramSHA512)
	needs("passwordFile", s.PasswordFile != "", SASLPlain, SASLScramSHA256, SASLScramSHA512)
	needs("oauth", s.OAuth != nil, SASLOAuthBearer)
	if s.AWS != nil {
		needs("aws", true, SASLAWSMSKIAM)
	}
	if strings.ContainsFunc(s.Username, unicode.IsControl) {
		problems = append(problems, fmt.Errorf("%s.username has a control character: give the name as the brokers have it", field))
	}
	if s.OAuth != nil {
		problems = append(problems, s.OAuth.validate(field+".oauth"))
	}
	if s.AWS != nil {
		problems = append(problems, s.AWS.validate(field+".aws"))
	}
	return errors.Join(problems...)
}

var (
	extensionName  = regexp.MustCompile(`^[A-Za-z]+$`)
	extensionValue = regexp.MustCompile(`^[\x21-\x7E \t]+$`)
	awsRegion      = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)
	awsRole        = regexp.MustCompile(`^arn:[a-z0-9-]+:iam::[0-9]{12}:role/[^\s]+$`)
)

func (o OAuthClient) validate(field string) error {
	var problems []error
	if u, err := url.Parse(o.TokenURL); err != nil || u.Hostname() == "" || u.Scheme != "https" || u.User != nil || u.Fragment != "" ||
		u.Port() != "" && !isPort(u.Port()) {
		problems = append(problems, fmt.Errorf("%s.tokenURL is not https://host/…: give the provider's token endpoint, without user and fragment", field))
	}
	if o.ClientID == "" || o.ClientSecretFile == "" {
		problems = append(problems, fmt.Errorf("%s lacks clientID or clientSecretFile: give both", field))
	}
	for i, s := range o.Scopes {
		if s == "" || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
			problems = append(problems, fmt.Errorf("%s.scopes[%d] is %q: give one scope an entry, without spaces", field, i, s))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Extensions)) {
		if name == "auth" || !extensionName.MatchString(name) || !extensionValue.MatchString(o.Extensions[name]) {
			problems = append(problems, fmt.Errorf("%s.extensions.%s cannot be sent: give a name of letters, not auth, and a value of printable ASCII", field, name))
		}
	}
	return errors.Join(problems...)
}

func (m MSKIdentity) validate(field string) error {
	var problems []error
	if m.Region != "" && !awsRegion.MatchString(m.Region) {
		problems = append(problems, fmt.Errorf("%s.region is %q: give a region such as ap-northeast-1, or leave it out", field, m.Region))
	}
	if m.RoleARN != "" && !awsRole.MatchString(m.RoleARN) {
		problems = append(problems, fmt.Errorf("%s.roleARN is %q: give arn:aws:iam::ACCOUNT:role/NAME, or leave it out", field, m.RoleARN))
	}
	return errors.Join(problems...)
}

func joined[T ~string](all []T) string {
	var s []string
	for _, one := range all {
		s = append(s, string(one))
	}
	return strings.Join(s, ", ")
}
