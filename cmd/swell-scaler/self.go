package main

import (
	"os"
	"strings"

	"k8s.io/client-go/rest"
)

const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// self is the pod that this process runs in, as namespace/name, where it is one of the cluster that it scales: what the
// downward API says in POD_NAMESPACE and POD_NAME, else the ServiceAccount's namespace with the host's name, which is the pod's
// unless it shares its node's network. Empty is none.
func self(used *rest.Config) string {
	if namespace, name := os.Getenv("POD_NAMESPACE"), os.Getenv("POD_NAME"); namespace != "" && name != "" {
		return namespace + "/" + name
	}
	inside, err := rest.InClusterConfig()
	if err != nil || inside.Host != used.Host {
		return ""
	}
	namespace, err := os.ReadFile(namespaceFile)
	if err != nil {
		return ""
	}
	host, err := os.Hostname()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(namespace)) + "/" + host
}
