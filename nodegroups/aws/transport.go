package aws

import (
	"io"
	"net/http"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
)

// plainBody hides WriteTo of request bodies. The SDK closes a body as soon as an answer begins, and a closed one's WriteTo
// fails with io.EOF: where the service answers before the transport has seen the body's end, the transport would take that
// for a failed write and cut the answer off. A closed one's Read ends quietly.
type plainBody struct{ awssdk.HTTPClient }

func (c plainBody) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return c.HTTPClient.Do(r)
}
