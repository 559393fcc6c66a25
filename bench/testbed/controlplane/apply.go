package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ApplyFile applies the objects of a YAML file.
func (c *Cluster) ApplyFile(ctx context.Context, path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("applying %s: %w", path, err)
	}
	return c.Apply(ctx, path, raw)
}

// Apply applies the objects of a YAML text on the server's side; unknown fields are refused. Errors name what, the
// object, and the field.
func (c *Cluster) Apply(ctx context.Context, what string, raw []byte) error {
	return Apply(ctx, c.AdminConfig(), what, raw)
}

// Apply is Cluster.Apply for any cluster.
func Apply(ctx context.Context, cluster *rest.Config, what string, raw []byte) error {
	c, err := client.New(cluster, client.Options{FieldValidation: "Strict"})
	if err != nil {
		return fmt.Errorf("applying %s: %w", what, err)
	}
	decoder := kyaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096)
	for n := 1; ; n++ {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("applying %s: document %d: %w; correct the YAML", what, n, err)
		}
		if len(object.Object) == 0 {
			continue
		}
		name := fmt.Sprintf("%s %s", object.GetKind(), object.GetName())
		if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("testbed"), client.ForceOwnership); err != nil {
			return fmt.Errorf("applying %s: %s: %w; correct the named field", what, name, err)
		}
	}
}
