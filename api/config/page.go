package config

import (
	"net"
	"strconv"
)

// Page is the live page of swell-scaler, over HTTPS, for those whom the API server knows and allows.
type Page struct {
	// Bind is the address that it is served on, such as ":8443"; empty is off.
	Bind string `json:"bind,omitempty"`
	// CertFile and KeyFile are what it is served with, PEM; they are read again when they change. Empty is a certificate that the
	// scaler signs itself at its start.
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`
}

func (p Page) validate(say func(format string, args ...any)) {
	if p.Bind == "" {
		if p.CertFile != "" || p.KeyFile != "" {
			say("page.certFile or page.keyFile is given and page.bind is not: give an address such as :8443, or leave page out")
		}
		return
	}
	host, port, err := net.SplitHostPort(p.Bind)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 {
		say("page.bind is %q: give an address with a port, such as :8443", p.Bind)
	} else if host != "" && net.ParseIP(host) == nil {
		say("page.bind is %q: give an IP address before the port, or none for all", p.Bind)
	}
	if (p.CertFile == "") != (p.KeyFile == "") {
		say("page.certFile and page.keyFile belong together: give both, or neither for a certificate of its own")
	}
}
