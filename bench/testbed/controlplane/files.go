package controlplane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	componentv1alpha1 "k8s.io/component-base/config/v1alpha1"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"
)

const (
	frontProxyUser = "front-proxy-client"
	masters        = "system:masters"
)

// files are the paths of what the components read.
type files struct {
	ca, frontCA, serverCert, serverKey, proxyCert, proxyKey, serviceAccountKey string
	auditPolicy, stages                                                        string
	controllers, scheduler, kwok                                               string
	schedulerConfig                                                            string
}

func (c *Cluster) writeFiles() (files, error) {
	var f files
	if err := c.writeKeys(&f); err != nil {
		return files{}, err
	}
	play, err := stages(c.options.PodStart)
	if err != nil {
		return files{}, err
	}
	f.auditPolicy, f.stages = filepath.Join(c.dir, "audit-policy.yaml"), filepath.Join(c.dir, "stages.yaml")
	for path, text := range map[string]string{f.auditPolicy: policy(), f.stages: play} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return files{}, fmt.Errorf("writing the control plane's files: %w; free space in %s", err, c.dir)
		}
	}
	for _, user := range []struct {
		path   *string
		name   string
		groups []string
	}{
		{&f.controllers, "system:kube-controller-manager", nil},
		{&f.scheduler, "system:kube-scheduler", nil},
		{&f.kwok, "kwok", []string{masters}},
	} {
		if *user.path, err = c.Kubeconfig(user.name, user.groups...); err != nil {
			return files{}, err
		}
	}
	f.schedulerConfig = filepath.Join(c.dir, "scheduler.yaml")
	return f, c.writeSchedulerConfig(f)
}

// writeSchedulerConfig writes what the scheduler has no flags for beside what it has: with a configuration file it ignores those.
func (c *Cluster) writeSchedulerConfig(f files) error {
	o := c.options
	config := schedulerv1.KubeSchedulerConfiguration{
		TypeMeta: metav1.TypeMeta{APIVersion: schedulerv1.SchemeGroupVersion.String(), Kind: "KubeSchedulerConfiguration"},
		ClientConnection: componentv1alpha1.ClientConnectionConfiguration{
			Kubeconfig: f.scheduler, QPS: float32(o.SchedulerQPS), Burst: int32(o.SchedulerBurst),
		},
		PodMaxBackoffSeconds: ptr.To(int64(o.SchedulerMaxBackoff / time.Second)),
	}
	config.LeaderElection.LeaderElect = ptr.To(false)
	text, err := yaml.Marshal(config)
	if err != nil {
		return fmt.Errorf("writing the scheduler's configuration: %w", err)
	}
	if err := os.WriteFile(f.schedulerConfig, text, 0o644); err != nil {
		return fmt.Errorf("writing the scheduler's configuration: %w; free space in %s", err, c.dir)
	}
	return nil
}

func (c *Cluster) writeKeys(f *files) (err error) {
	if c.ca, err = newAuthority("testbed-ca"); err != nil {
		return err
	}
	if c.frontCA, err = newAuthority("testbed-front-proxy-ca"); err != nil {
		return err
	}
	pki := filepath.Join(c.dir, "pki")
	server, err := c.ca.server([]string{"kubernetes.default.svc"}, net.IPv4(10, 96, 0, 1))
	if err != nil {
		return err
	}
	if f.serverCert, f.serverKey, err = server.write(pki, "kube-apiserver"); err != nil {
		return err
	}
	proxy, err := c.frontCA.client(frontProxyUser)
	if err != nil {
		return err
	}
	if f.proxyCert, f.proxyKey, err = proxy.write(pki, frontProxyUser); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making the key of service account tokens: %w", err)
	}
	tokens, err := encodeKey(key)
	if err != nil {
		return err
	}
	f.ca, f.frontCA, f.serviceAccountKey = filepath.Join(pki, "ca.crt"), filepath.Join(pki, "front-proxy-ca.crt"), filepath.Join(pki, "sa.key")
	for path, text := range map[string][]byte{f.ca: c.ca.pem, f.frontCA: c.frontCA.pem, f.serviceAccountKey: tokens} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return fmt.Errorf("writing the control plane's keys: %w; free space in %s", err, c.dir)
		}
	}
	return nil
}

// Config is a client's configuration for a user of some groups, with a certificate made for it. Its own rate
// limit is 1,000 requests a second.
func (c *Cluster) Config(user string, groups ...string) (*rest.Config, error) {
	p, err := c.ca.client(user, groups...)
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host: c.url, QPS: 1000, Burst: 2000,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.ca.pem, CertData: p.cert, KeyData: p.key},
	}, nil
}

// AdminConfig is the configuration of user "admin", to whom everything is allowed. It panics where the system
// has no randomness for a key.
func (c *Cluster) AdminConfig() *rest.Config {
	config, err := c.Config("admin", masters)
	if err != nil {
		panic(err)
	}
	return config
}

var unsafeInFileName = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

// Kubeconfig writes a kubeconfig with a certificate made for a user of some groups, and returns its path. RBAC
// is on: a user has the rights of its bindings; group system:masters has all.
func (c *Cluster) Kubeconfig(user string, groups ...string) (string, error) {
	p, err := c.ca.client(user, groups...)
	if err != nil {
		return "", err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["testbed"] = &clientcmdapi.Cluster{Server: c.url, CertificateAuthorityData: c.ca.pem}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificateData: p.cert, ClientKeyData: p.key}
	config.Contexts["testbed"] = &clientcmdapi.Context{Cluster: "testbed", AuthInfo: user}
	config.CurrentContext = "testbed"
	name := unsafeInFileName.ReplaceAllString(strings.Join(append([]string{user}, groups...), "."), "-")
	path := filepath.Join(c.dir, "kubeconfigs", name+".kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return "", fmt.Errorf("writing the kubeconfig of %s: %w; free space in %s", user, err, c.dir)
	}
	return path, nil
}

// ServiceAccountKubeconfig is Kubeconfig for a ServiceAccount, whether it exists or not: the API server knows its holder by the name and
// the groups that a token would give.
func (c *Cluster) ServiceAccountKubeconfig(namespace, name string) (string, error) {
	user, groups := serviceAccount(namespace, name)
	return c.Kubeconfig(user, groups...)
}

// ServiceAccountConfig is Config for a ServiceAccount, whether it exists or not.
func (c *Cluster) ServiceAccountConfig(namespace, name string) (*rest.Config, error) {
	user, groups := serviceAccount(namespace, name)
	return c.Config(user, groups...)
}

func serviceAccount(namespace, name string) (user string, groups []string) {
	return "system:serviceaccount:" + namespace + ":" + name, []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace}
}

// ServingCert writes a certificate and its key for a server on this machine, signed by CA, for localhost,
// 127.0.0.1 and the given names, and returns their paths.
func (c *Cluster) ServingCert(name string, dnsNames ...string) (certFile, keyFile string, err error) {
	p, err := c.ca.server(dnsNames)
	if err != nil {
		return "", "", err
	}
	return p.write(filepath.Join(c.dir, "pki"), "serving-"+unsafeInFileName.ReplaceAllString(name, "-"))
}
