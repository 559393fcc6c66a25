package server

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	keeper "swell/metrics/certificate"
)

// certificateFlags are about a certificate that the replicas make and rotate themselves.
type certificateFlags struct {
	secret, name string
	apiServices  []string
}

func (f *certificateFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.secret, "certificate-secret", "", "NAMESPACE/NAME of a Secret in which the replicas keep a serving certificate that they make and rotate, in place of --tls-cert-file; empty: none")
	flags.StringVar(&f.name, "certificate-name", "", "name that this certificate is for, such as swell-metrics.swell-system.svc")
	flags.StringArrayVar(&f.apiServices, "certificate-apiservice", nil, "APIService that is told the authority of this certificate; once for each")
}

// check says what is wrong with the flags together.
func (f *certificateFlags) check(s *Server) error {
	own := s.SecureServing.ServerCert.CertKey
	switch {
	case f.secret == "" && (f.name != "" || len(f.apiServices) > 0):
		return fmt.Errorf("--certificate-name and --certificate-apiservice are about --certificate-secret, which is missing: give it, or leave them out")
	case f.secret == "":
		return nil
	case own.CertFile != "" || own.KeyFile != "":
		return fmt.Errorf("--certificate-secret and --tls-cert-file are both given: leave one of them out")
	case f.name == "":
		return fmt.Errorf("--certificate-name is missing: give the name that the API server dials, such as swell-metrics.swell-system.svc")
	}
	if namespace, name, ok := strings.Cut(f.secret, "/"); !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return fmt.Errorf("--certificate-secret is %q: give NAMESPACE/NAME", f.secret)
	}
	return nil
}

// keepCertificate makes the keeper of the certificate, which has one when this returns; nil is that none is to be kept.
func (i *instance) keepCertificate(ctx context.Context) (*keeper.Keeper, error) {
	if i.certificate.secret == "" {
		return nil, nil
	}
	kube, err := kubernetes.NewForConfig(i.restConfig)
	if err != nil {
		return nil, fmt.Errorf("reach the Kubernetes API for the serving certificate: %w", err)
	}
	objects, err := dynamic.NewForConfig(i.restConfig)
	if err != nil {
		return nil, fmt.Errorf("reach the Kubernetes API for the serving certificate: %w", err)
	}
	namespace, name, _ := strings.Cut(i.certificate.secret, "/")
	k := keeper.New(keeper.Options{Kube: kube, Dynamic: objects, Namespace: namespace, Secret: name,
		Name: i.certificate.name, APIServices: i.certificate.apiServices, Log: i.log})
	if err := k.Look(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// keptCertificate is the certificate that the keeper serves; nil where there is no keeper.
func (i *instance) keptCertificate() []byte {
	if i.keeper == nil {
		return nil
	}
	cert, _ := i.keeper.CurrentCertKeyContent()
	return cert
}
