package main

import (
	"fmt"
	"os/user"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// clusterFlags say which cluster a command works on, and where swell-scaler keeps its own objects.
type clusterFlags struct {
	kubeconfig, context, scaler string
	asJSON                      bool
}

func (f *clusterFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file; absent: as kubectl finds it")
	c.Flags().StringVar(&f.context, "context", "", "context of the kubeconfig; absent: its current one")
	c.Flags().StringVar(&f.scaler, "scaler-namespace", "swell-system", "namespace of swell-scaler: leaderElection.namespace of its configuration")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON document")
}

// config is of a context; an empty one is the current.
func (f clusterFlags) config(command, context string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context}).ClientConfig()
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: read the kubeconfig: %w; give --kubeconfig and --context of a cluster", command, err)}
	}
	config.Timeout = whyTimeout
	return config, nil
}

func (f clusterFlags) connect(command, context string) (kubernetes.Interface, error) {
	config, err := f.config(command, context)
	if err != nil {
		return nil, err
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", command, err)}
	}
	return kube, nil
}

// whoami is whose hand it is, for those who read it later; the API server's audit log has the account.
func whoami() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}
