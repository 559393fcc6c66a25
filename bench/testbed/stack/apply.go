package stack

import (
	"context"

	"k8s.io/client-go/rest"

	"swell/bench/testbed/controlplane"
)

// ApplyFile applies the objects of a YAML file.
func (s *Stack) ApplyFile(ctx context.Context, path string) error {
	return s.Cluster.ApplyFile(ctx, path)
}

// Apply applies the objects of a YAML text on the server's side; unknown fields are refused. Errors name what, the
// object, and the field.
func (s *Stack) Apply(ctx context.Context, what string, raw []byte) error {
	return s.Cluster.Apply(ctx, what, raw)
}

// Apply is Stack.Apply for any cluster.
func Apply(ctx context.Context, cluster *rest.Config, what string, raw []byte) error {
	return controlplane.Apply(ctx, cluster, what, raw)
}
