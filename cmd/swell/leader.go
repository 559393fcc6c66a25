package main

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"swell/scaler/ui/local"
)

// scalerFlags are how the scaler that leads is reached.
type scalerFlags struct {
	clusterFlags
	url, authority string
	podPort        int
}

func (f *scalerFlags) register(c *cobra.Command) {
	f.clusterFlags.register(c)
	c.Flags().StringVar(&f.url, "url", "", "address of the page, such as https://10.0.0.7:8443, where it is reached without the API server")
	c.Flags().StringVar(&f.authority, "ca-file", "", "PEM file that signed the page's certificate, with --url; absent: those of this machine")
	c.Flags().IntVar(&f.podPort, "pod-port", 8443, "port of the leader's pod: that of page.bind in its configuration")
}

// mendOfReach is what may be done where the leader does not answer; outside is that where it is no pod.
func mendOfReach(err error, outside string) string {
	if apierrors.IsNotFound(err) {
		return "it holds the Lease and is no pod of that namespace: for a scaler outside of the cluster " + outside
	}
	return "see that its configuration has page.bind"
}

// reach is where the page is, and a transport that signs in there.
func (f scalerFlags) reach(cmd *cobra.Command) (*url.URL, http.RoundTripper, error) {
	config, err := f.config(cmd.CommandPath(), f.context)
	if err != nil {
		return nil, nil, err
	}
	if f.url != "" {
		target, err := url.Parse(f.url)
		if err != nil || target.Scheme != "https" || target.Host == "" {
			return nil, nil, usageError{fmt.Errorf("%s: --url is %q: give an address such as https://10.0.0.7:8443", cmd.CommandPath(), f.url)}
		}
		through, err := local.SignedIn(config, rest.TLSClientConfig{CAFile: f.authority}, nil)
		if err != nil {
			return nil, nil, usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)}
		}
		return target, through, nil
	}
	if f.authority != "" {
		return nil, nil, usageError{fmt.Errorf("%s: --ca-file is for --url alone", cmd.CommandPath())}
	}
	tunnel, err := local.NewTunnel(config, f.scaler, f.podPort)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	// The API server leads the tunnel to that very pod: the certificate that the scaler made for itself proves nothing more.
	through, err := local.SignedIn(config, rest.TLSClientConfig{Insecure: true}, tunnel.Dial)
	if err != nil {
		return nil, nil, usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)}
	}
	return &url.URL{Scheme: "https", Host: "localhost"}, through, nil
}
