package aws_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
)

// An answer of unknown length ends only some time after its last byte.
func TestAnswersSayHowLongTheyAre(t *testing.T) {
	w := newWorld(t)
	w.settle()
	must[*autoscaling.LaunchInstancesOutput](t)(w.launch("general-1a-on-demand", 100, "t"))
	call := func(version, action string) *http.Request {
		form := url.Values{"Version": {version}, "Action": {action}}
		r := must[*http.Request](t)(http.NewRequest(http.MethodPost, w.url, strings.NewReader(form.Encode())))
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 test")
		return r
	}
	for name, r := range map[string]*http.Request{
		"DescribeAutoScalingGroups": call("2011-01-01", "DescribeAutoScalingGroups"),
		"DescribeInstances":         call("2016-11-15", "DescribeInstances"),
		"state":                     must[*http.Request](t)(http.NewRequest(http.MethodGet, w.url+"/_control/state", nil)),
	} {
		answer := must[*http.Response](t)(http.DefaultClient.Do(r))
		body := must[[]byte](t)(io.ReadAll(answer.Body))
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK || len(body) < 10000 || answer.ContentLength != int64(len(body)) {
			t.Errorf("%s answers %d, says %d bytes and gives %d", name, answer.StatusCode, answer.ContentLength, len(body))
		}
	}
}
