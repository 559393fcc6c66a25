package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/twmb/franz-go/pkg/sasl"

	"swell/api/config"
)

// msk is AWS_MSK_IAM: the request to connect, signed for the broker's host. The client library has the mechanism too, but
// takes the region from the host name or the environment alone, and not from the configuration.
type msk struct {
	cluster  config.KafkaCluster
	identity config.MSKIdentity

	mu    sync.Mutex
	found *mskSource // nil: not yet
}

// mskSource is what the AWS SDK found.
type mskSource struct {
	region      string
	credentials aws.CredentialsProvider
}

// mskExpiry is how long a signature holds; it is used at once.
const mskExpiry = 5 * time.Minute

func newMSK(k config.KafkaCluster) *msk {
	m := &msk{cluster: k}
	if k.SASL.AWS != nil {
		m.identity = *k.SASL.AWS
	}
	return m
}

func (m *msk) Name() string { return string(config.SASLAWSMSKIAM) }

// Authenticate signs for one broker.
func (m *msk) Authenticate(ctx context.Context, broker string) (sasl.Session, []byte, error) {
	first, err := m.sign(ctx, broker, time.Now())
	if err != nil {
		return nil, nil, explained{fmt.Errorf("log in to Kafka cluster %q at broker %s: %w", m.cluster.Name, broker, err)}
	}
	return mskSession{}, first, nil
}

type mskSession struct{}

// Challenge ends the exchange; a broker that lets in answers with a version and a request id.
func (mskSession) Challenge(answer []byte) (bool, []byte, error) {
	if len(answer) == 0 {
		return false, nil, errors.New("the broker's answer to AWS_MSK_IAM is empty: check that it is a broker of Amazon MSK")
	}
	return true, nil, nil
}

// sign makes the message that the mechanism begins with: a presigned request's query as JSON.
func (m *msk) sign(ctx context.Context, broker string, now time.Time) ([]byte, error) {
	host, _, err := net.SplitHostPort(broker)
	if err != nil {
		return nil, fmt.Errorf("read its address: %w: give host:port", err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout(m.cluster))
	defer cancel()
	credentials, region, err := m.retrieve(ctx, host)
	if err != nil {
		return nil, err
	}
	query := url.Values{"Action": {"kafka-cluster:Connect"}, "X-Amz-Expires": {fmt.Sprint(int(mskExpiry.Seconds()))}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, (&url.URL{Scheme: "https", Host: host, Path: "/", RawQuery: query.Encode()}).String(), nil)
	if err != nil {
		return nil, fmt.Errorf("sign for its host: %w: give host:port", err)
	}
	nothing := sha256.Sum256(nil)
	signed, _, err := v4.NewSigner().PresignHTTP(ctx, credentials, request, hex.EncodeToString(nothing[:]), "kafka-cluster", region, now)
	if err != nil {
		return nil, fmt.Errorf("sign for its host: %w: check %s", err, fieldOf(m.cluster, "sasl.aws"))
	}
	u, err := url.Parse(signed)
	if err != nil {
		return nil, errors.New("sign for its host: the signature is not a URL's: check " + fieldOf(m.cluster, "sasl.aws"))
	}
	message := map[string]string{"version": "2020_10_22", "host": host, "user-agent": "swell-metrics"}
	for name, values := range u.Query() {
		message[strings.ToLower(name)] = values[0]
	}
	return json.Marshal(message)
}

// retrieve finds credentials and region. The SDK renews what can expire; keys that never do may have been replaced in their
// file, so they are looked for anew, as is everything when it fails.
func (m *msk) retrieve(ctx context.Context, host string) (aws.Credentials, string, error) {
	source, fresh, err := m.source(ctx, nil)
	if err != nil {
		return aws.Credentials{}, "", err
	}
	c, err := source.credentials.Retrieve(ctx)
	if !fresh && (err != nil || !c.CanExpire) {
		if source, _, err = m.source(ctx, source); err != nil {
			return aws.Credentials{}, "", err
		}
		c, err = source.credentials.Retrieve(ctx)
	}
	if err != nil {
		mend := "give swell-metrics a role (IRSA, EKS Pod Identity) or AWS_* variables"
		if m.identity.RoleARN != "" {
			mend += fmt.Sprintf(", and let it assume %s of %s", m.identity.RoleARN, fieldOf(m.cluster, "sasl.aws.roleARN"))
		}
		return aws.Credentials{}, "", fmt.Errorf("get AWS credentials: %w: %s", err, mend)
	}
	region := cmp.Or(m.identity.Region, regionOf(host), source.region)
	if region == "" {
		return aws.Credentials{}, "", fmt.Errorf("sign for %s: its region is not known: give %s", host, fieldOf(m.cluster, "sasl.aws.region"))
	}
	return c, region, nil
}

// source is what was found, or is found now where there is nothing but old. Nobody waits for another's network here.
func (m *msk) source(ctx context.Context, old *mskSource) (found *mskSource, fresh bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.found != nil && m.found != old {
		return m.found, false, nil
	}
	m.found, err = m.find(ctx)
	return m.found, true, err
}

// find looks for credentials as the AWS SDK does: environment, files, web identity, the node's or pod's role.
func (m *msk) find(ctx context.Context) (*mskSource, error) {
	var options []func(*awsconfig.LoadOptions) error
	if m.identity.Region != "" {
		options = append(options, awsconfig.WithRegion(m.identity.Region))
	}
	found, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("load the AWS configuration: %w: correct the AWS_* variables and files of swell-metrics", err)
	}
	if m.identity.RoleARN == "" {
		return &mskSource{region: found.Region, credentials: found.Credentials}, nil
	}
	if found.Region == "" {
		return nil, fmt.Errorf("assume %s: the region is not known: give %s", m.identity.RoleARN, fieldOf(m.cluster, "sasl.aws.region"))
	}
	role := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(found), m.identity.RoleARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = "swell-metrics"
	})
	// Renewed this long before its end, so that no signature is made with what is over when the broker looks at it.
	cached := aws.NewCredentialsCache(role, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = time.Minute })
	return &mskSource{region: found.Region, credentials: cached}, nil
}

// regionOf is the region in the host name of a broker of Amazon MSK, as in b-1.x.y.c2.kafka.eu-west-1.amazonaws.com.
func regionOf(host string) string {
	for _, domain := range []string{".amazonaws.com", ".amazonaws.com.cn"} {
		if before, ok := strings.CutSuffix(host, domain); ok {
			return before[strings.LastIndexByte(before, '.')+1:]
		}
	}
	return ""
}
