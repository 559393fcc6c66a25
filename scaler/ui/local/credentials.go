package local

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
)

// answerWithin is how long the scaler may take to begin an answer.
const answerWithin = 20 * time.Second

// SignedIn is a transport with the credentials of a kubeconfig for another server than its API server: server says whom to trust there.
// dial is how it is reached; nil is as usual.
func SignedIn(config *rest.Config, server rest.TLSClientConfig, dial func(ctx context.Context, network, address string) (net.Conn, error)) (http.RoundTripper, error) {
	own := rest.CopyConfig(config)
	own.Timeout = 0
	server.CertFile, server.CertData, server.KeyFile, server.KeyData = own.CertFile, own.CertData, own.KeyFile, own.KeyData
	own.TLSClientConfig = server
	settings, err := own.TransportConfig()
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig's credentials: %w", err)
	}
	tlsConfig, err := transport.TLSConfigFor(settings)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig's credentials: %w; see --ca-file", err)
	}
	if tlsConfig == nil {
		tlsConfig = &tls.Config{}
	}
	tlsConfig.NextProtos = []string{"http/1.1"}
	base := &http.Transport{TLSClientConfig: tlsConfig, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: answerWithin,
		IdleConnTimeout: time.Minute, MaxIdleConns: 8, DialContext: dial}
	through, err := transport.HTTPWrappersForConfig(settings, base)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig's credentials: %w", err)
	}
	return through, nil
}
