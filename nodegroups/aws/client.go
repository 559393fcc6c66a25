package aws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	"github.com/aws/aws-sdk-go-v2/service/savingsplans"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"swell/api/config"
	"swell/api/version"
)

// Options of a client.
type Options struct {
	// Region such as ap-northeast-1.
	Region string
	// Endpoint replaces the endpoints of all services; empty is AWS's own. At a loopback address no credentials are needed.
	Endpoint string
	// QueueURL of the SQS queue with interruption notices; empty: there is none, and Interruptions fails.
	QueueURL string
	// LifecycleHooks that are swell's to complete; none is those whose name begins with swell.
	LifecycleHooks []string
	// Rate is the budget of Auto Scaling and EC2 calls a second, 10 by default; it halves at every throttle and recovers with
	// every success. Burst calls may be made at once, 20 by default.
	Rate  float64
	Burst int
	// Attempts at one call, the first included; 3 by default.
	Attempts int
	// Backoff is how long is waited after an attempt, the first being 1, that failed of err; nil is the SDK's, which is random.
	Backoff func(attempt int, err error) (time.Duration, error)
	// CallTimeout bounds one call with all its attempts, machine time; 15 s by default. Waiting for notices may take 5 s longer
	// than the wait that is asked for.
	CallTimeout time.Duration
	// ClusterName is noted on groups of which a process is suspended, so that it is known whose that is; empty notes none.
	ClusterName string
	// Prices by instance type, an hour. A spot price that is missing is read, an on-demand price only with ReadOnDemandPrices and
	// is else unknown.
	Prices             map[string]Price
	ReadOnDemandPrices bool
	// Clock that times are told in.
	Clock config.Clock
	// HTTPClient carries the requests; nil is the SDK's own.
	HTTPClient awssdk.HTTPClient
	Log        *slog.Logger // nil is slog.Default
}

// Price of one instance of a type, an hour; zero is unknown.
type Price struct {
	OnDemand, Spot float64
}

// Validate fills in defaults and reports what cannot be used.
func (o *Options) Validate() error {
	if o.Region == "" {
		return errors.New("region is missing: name one, such as ap-northeast-1")
	}
	for _, u := range []struct{ field, value string }{{"endpoint", o.Endpoint}, {"queueURL", o.QueueURL}} {
		if u.value == "" {
			continue
		}
		if parsed, err := url.Parse(u.value); err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
			return fmt.Errorf("%s is %q: give a URL such as https://autoscaling.ap-northeast-1.amazonaws.com", u.field, u.value)
		}
	}
	if o.Rate < 0 || o.Burst < 0 || o.Attempts < 0 {
		return fmt.Errorf("rate is %g, burst %d and attempts %d: none may be negative; 0 is the default", o.Rate, o.Burst, o.Attempts)
	}
	if o.CallTimeout < 0 {
		return fmt.Errorf("callTimeout is %s: give a positive duration; 0 is the default of 15s", o.CallTimeout)
	}
	if o.CallTimeout == 0 {
		o.CallTimeout = 15 * time.Second
	}
	if o.Rate == 0 {
		o.Rate = 10
	}
	if o.Burst == 0 {
		o.Burst = 20
	}
	if o.Attempts == 0 {
		o.Attempts = retry.DefaultMaxAttempts
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o.Clock.Validate()
}

// Client talks to Auto Scaling, EC2 and SQS. It may be used concurrently.
type Client struct {
	options     Options
	autoscaling *autoscaling.Client
	ec2         *ec2.Client
	sqs         *sqs.Client
	savings     *savingsplans.Client
	pricing     *pricing.Client
	budget      *budget
	config      awssdk.Config

	mu        sync.Mutex
	launched  map[string]launch // by instance
	types     map[string]ec2types.InstanceTypeInfo
	templates map[string]template
	subnets   map[string]subnet
	usable    map[string]usable     // by Auto Scaling group
	spot      map[string]spotPrices // by instance type
	spotError string                // why they could not be read last; empty is that they could
	listed    map[string]listedPrice
	listError string // as spotError
	listing   bool
	listings  sync.WaitGroup
	reserved  reservations
	plans     plans
	short     map[string]shortfall            // by Auto Scaling group
	places    map[string]place                // by group name
	tokenless map[string]time.Time            // Auto Scaling groups that LaunchInstances does not take, and when it said so
	unlisted  map[string]map[string]time.Time // by Auto Scaling group and instance: when it was launched
	now       func() time.Time                // machine time
	// terminations are the scaling activities by which instances were ended, until they are asked for.
	terminations sync.Map
	// pollTimeout bounds one wait for notices, machine time.
	pollTimeout time.Duration
}

// forgetAfter is how long what is known of an instance that is not seen any more is kept, machine time.
const forgetAfter = 2 * time.Hour

// launch is when an instance was launched and when it was last seen, machine time, and the image that it has.
type launch struct {
	at, seen time.Time
	image    string
	pending  bool // when it was last seen
	spot     bool
}

// New makes a client. It makes no call yet: a wrong endpoint shows at the first.
func New(ctx context.Context, o Options) (*Client, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("setting up the AWS client: %w", err)
	}
	c := &Client{options: o, budget: newBudget(o.Rate, o.Burst), launched: map[string]launch{}, types: map[string]ec2types.InstanceTypeInfo{},
		templates: map[string]template{}, subnets: map[string]subnet{}, usable: map[string]usable{}, spot: map[string]spotPrices{}, listed: map[string]listedPrice{}, places: map[string]place{}, tokenless: map[string]time.Time{}, unlisted: map[string]map[string]time.Time{}, short: map[string]shortfall{}, now: time.Now, pollTimeout: longPoll + 5*time.Second}
	load := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithRegion(o.Region),
		awsconfig.WithAppID("swell-" + version.Get().Version), // stands in CloudTrail's userAgent
		awsconfig.WithLogger(logging.LoggerFunc(func(c logging.Classification, format string, v ...any) {
			o.Log.Debug("aws sdk", "class", string(c), "message", fmt.Sprintf(format, v...))
		})),
		awsconfig.WithRetryer(func() awssdk.Retryer {
			return retry.NewStandard(func(s *retry.StandardOptions) {
				if s.MaxAttempts = o.Attempts; o.Backoff != nil {
					s.Backoff = retry.BackoffDelayerFunc(o.Backoff)
				}
			})
		}),
	}
	if o.Endpoint != "" {
		load = append(load, awsconfig.WithBaseEndpoint(o.Endpoint))
		if loopback(o.Endpoint) {
			load = append(load, awsconfig.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("local", "local", "")))
		}
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("setting up the AWS client: %w; check the credentials and the shared configuration files", err)
	}
	if o.HTTPClient != nil {
		cfg.HTTPClient = o.HTTPClient
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = awshttp.NewBuildableClient()
	}
	cfg.HTTPClient = plainBody{cfg.HTTPClient}
	c.config = cfg
	c.autoscaling = autoscaling.NewFromConfig(cfg, func(o *autoscaling.Options) { o.APIOptions = append(o.APIOptions, c.budget.install, c.bound) })
	c.ec2 = ec2.NewFromConfig(cfg, func(o *ec2.Options) { o.APIOptions = append(o.APIOptions, c.budget.install, c.bound) })
	c.sqs = sqs.NewFromConfig(cfg)
	c.savings = savingsplans.NewFromConfig(cfg, func(o *savingsplans.Options) { o.APIOptions = append(o.APIOptions, c.budget.install, c.bound) })
	prices := newBudget(5, 5) // of its own: a throttle of the price list is none of the calls that launch
	c.pricing = pricing.NewFromConfig(cfg, func(o *pricing.Options) { o.APIOptions = append(o.APIOptions, prices.install, c.bound) })
	return c, nil
}

// bound gives each call a deadline of its own, whatever the caller's context has.
func (c *Client) bound(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("SwellDeadline",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			ctx, cancel := context.WithTimeout(ctx, c.options.CallTimeout)
			defer cancel()
			return next.HandleInitialize(ctx, in)
		}), middleware.Before)
}

// Budget is the number of calls a second that are allowed at present, after throttles.
func (c *Client) Budget() float64 { return c.budget.rate() }

func loopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
