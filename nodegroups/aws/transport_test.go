package aws

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	smithyhttp "github.com/aws/smithy-go/transport/http"
)

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

func TestABodyClosedByTheSDKIsNoFailedWrite(t *testing.T) {
	request := smithyhttp.NewStackRequest().(*smithyhttp.Request)
	request.ContentLength = 4
	request, err := request.SetStream(strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	// what net/http's transport does: write the length that is told, then look for more
	transport := doer(func(r *http.Request) (*http.Response, error) {
		if n, err := io.Copy(io.Discard, io.LimitReader(r.Body, 4)); n != 4 || err != nil {
			t.Fatalf("%d bytes, %v", n, err)
		}
		r.Body.Close() // the SDK's, once the answer begins
		_, err := io.Copy(io.Discard, r.Body)
		return nil, err
	})
	if _, err := (plainBody{transport}).Do(request.Build(context.Background())); err != nil {
		t.Errorf("the end of a closed body gives %v", err)
	}
	c, err := New(context.Background(), Options{Region: "ap-northeast-1", Endpoint: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	for name, client := range map[string]any{"autoscaling": c.autoscaling.Options().HTTPClient, "ec2": c.ec2.Options().HTTPClient, "sqs": c.sqs.Options().HTTPClient} {
		if _, ok := client.(plainBody); !ok {
			t.Errorf("%s uses %T", name, client)
		}
	}
}
