package awsconformance_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/smithy-go"
)

// m is an answer, or a part of one, by field.
type m = map[string]any

// conformanceCase is one thing that AWS's documentation says of an operation.
type conformanceCase struct {
	// op is service:Operation, docs the page that says it.
	op, docs string
	// says is what is asserted, in own words.
	says string
	// want is the answer as JSON, with ids, ARNs and times replaced.
	want string
	// run makes the calls on a new world and picks the fields to compare.
	run func(t *target) any
	// alone is why moto cannot be asked, though it has the operation; empty is that it can.
	alone string
	// moto is how moto's answer differs from the documentation; nil is not at all.
	moto *difference
}

// difference of moto from AWS, so that a change of it is noticed.
type difference struct {
	says string // what AWS's documentation says, in own words
	want string // what moto answers, or noAnswer
}

// noAnswer is an answer that is no AWS's: moto's to what it does not expect.
const noAnswer = "an error page"

const (
	asDocs    = "https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_"
	asGuide   = "https://docs.aws.amazon.com/autoscaling/ec2/userguide/"
	ec2Docs   = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_"
	sqsDocs   = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_"
	stsDocs   = "https://docs.aws.amazon.com/STS/latest/APIReference/API_"
	iamDocs   = "https://docs.aws.amazon.com/IAM/latest/APIReference/API_"
	planDocs  = "https://docs.aws.amazon.com/savingsplans/latest/APIReference/API_"
	priceDocs = "https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_"
	priceList = "https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-file-for-services.html"
	quotaDocs = "https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_"
)

func (c conformanceCase) name() string {
	_, action, _ := strings.Cut(c.op, ":")
	return action + ": " + c.says
}

func (c conformanceCase) validate() error {
	switch {
	case !strings.Contains(c.op, ":") || c.says == "" || c.run == nil || c.want == "":
		return fmt.Errorf("the case %q lacks a field", c.name())
	case !strings.HasPrefix(c.docs, "https://docs.aws.amazon.com/"):
		return fmt.Errorf("the case %q cites %q", c.name(), c.docs)
	case c.moto != nil && (c.moto.says == "" || c.moto.want == "" || c.moto.want == c.want):
		return fmt.Errorf("the case %q names a difference of moto that is none", c.name())
	}
	return nil
}

// refusal is an error as an answer: its code, or what went wrong before there was one.
func refusal(err error) any {
	var api smithy.APIError
	if errors.As(err, &api) {
		return m{"error": api.ErrorCode()}
	}
	if err != nil {
		return m{"failure": err.Error()}
	}
	return "ok"
}

var volatile = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`arn:aws:[a-z0-9]+:[^"\s]*`), "arn"},
	{regexp.MustCompile(`\bi-[0-9a-f]{8,17}\b`), "i"},
	{regexp.MustCompile(`\bsubnet-[0-9a-z-]+\b`), "subnet"},
	{regexp.MustCompile(`\blt-[0-9a-f]+\b`), "lt"},
	{regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "uuid"},
}

// normal is an answer as JSON, in which ids and ARNs are numbered in the order of their appearance.
func normal(answer any) string {
	raw, err := json.Marshal(answer)
	if err != nil {
		return "unencodable: " + err.Error()
	}
	text := string(raw)
	for _, v := range volatile {
		seen := map[string]string{}
		text = v.pattern.ReplaceAllStringFunc(text, func(id string) string {
			if seen[id] == "" {
				seen[id] = fmt.Sprintf("%s#%d", v.name, len(seen)+1)
			}
			return seen[id]
		})
	}
	return text
}

// recent says of a time only whether it is within a day of the world's.
func (t *target) recent(at *time.Time) string {
	if at == nil {
		return "none"
	}
	if d := t.now().Sub(*at); d > 24*time.Hour || d < -24*time.Hour {
		return "not recent: " + at.String()
	}
	return "recent"
}
