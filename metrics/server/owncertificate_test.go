package server

import (
	"log/slog"
	"strings"
	"testing"
)

func TestFlagsOfTheOwnCertificateBelongTogether(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"none":          {nil, ""},
		"all":           {[]string{"--certificate-secret=a/b", "--certificate-name=x.a.svc", "--certificate-apiservice=v1.a", "--certificate-apiservice=v1.b"}, ""},
		"no secret":     {[]string{"--certificate-name=x.a.svc"}, "--certificate-secret, which is missing"},
		"no name":       {[]string{"--certificate-secret=a/b"}, "--certificate-name is missing"},
		"no namespace":  {[]string{"--certificate-secret=b", "--certificate-name=x"}, "give NAMESPACE/NAME"},
		"two of them":   {[]string{"--certificate-secret=a/b/c", "--certificate-name=x"}, "give NAMESPACE/NAME"},
		"a file beside": {[]string{"--certificate-secret=a/b", "--certificate-name=x", "--tls-cert-file=f", "--tls-private-key-file=g"}, "leave one of them out"},
	} {
		s := New(slog.New(slog.DiscardHandler))
		if err := s.Flags().Parse(c.args); err != nil {
			t.Fatal(err)
		}
		err := s.certificate.check(s)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
