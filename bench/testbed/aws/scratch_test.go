package aws_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"runtime/debug"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/smithy-go/logging"
)

type tell struct {
	net.Conn
}

func (c tell) Close() error {
	fmt.Printf("CLOSE %s\n%s\n", c.LocalAddr(), debug.Stack())
	return c.Conn.Close()
}

func TestScratch(t *testing.T) {
	w := newWorld(t)
	w.settle()
	must[*autoscaling.LaunchInstancesOutput](t)(w.launch("general-1a-on-demand", 100, "t"))
	config := awssdk.Config{Region: "ap-northeast-1", BaseEndpoint: &w.url, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		Retryer: func() awssdk.Retryer { return awssdk.NopRetryer{} },
		HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
			tr.DialContext = func(ctx context.Context, n, a string) (net.Conn, error) {
				c, err := (&net.Dialer{}).DialContext(ctx, n, a)
				if err != nil {
					return nil, err
				}
				return tell{c}, nil
			}
		}),
		Logger: logging.LoggerFunc(func(_ logging.Classification, format string, v ...any) { fmt.Printf("SDK "+format+"\n", v...) })}
	as := autoscaling.NewFromConfig(config)
	for range 60 {
		c := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{PutIdleConn: func(err error) {
			if err != nil {
				fmt.Println("PUT", err)
			}
		}})
		if _, err := as.DescribeAutoScalingGroups(c, &autoscaling.DescribeAutoScalingGroupsInput{}); err != nil {
			t.Fatal(err)
		}
	}
}
