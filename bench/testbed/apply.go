package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/clientcmd"

	"swell/bench/testbed/stack"
)

// apply is for who has no kubectl.
func apply(args []string) int {
	flags := pflag.NewFlagSet("testbed apply", pflag.ContinueOnError)
	flags.Usage = func() {
		fmt.Print("testbed apply applies the objects of YAML files to the cluster of KUBECONFIG, as kubectl apply --server-side does.\n\nUsage:\n  testbed apply FILE…\n")
	}
	if err := flags.Parse(args); err != nil {
		if err == pflag.ErrHelp {
			return 0
		}
		fmt.Fprintf(os.Stderr, "testbed apply: %v; see testbed apply --help\n", err)
		return 2
	}
	path := os.Getenv("KUBECONFIG")
	if flags.NArg() == 0 || path == "" {
		fmt.Fprintln(os.Stderr, "testbed apply: give files, and export KUBECONFIG as testbed up prints it; see testbed apply --help")
		return 2
	}
	cluster, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		fmt.Fprintf(os.Stderr, "testbed apply: reading KUBECONFIG: %v; export it as testbed up prints it\n", err)
		return 2
	}
	for _, file := range flags.Args() {
		raw, err := os.ReadFile(file)
		if err == nil {
			err = stack.Apply(context.Background(), cluster, file, raw)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "testbed apply: %v\n", err)
			return 1
		}
		fmt.Printf("applied %s\n", file)
	}
	return 0
}
