package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

var crdResource = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// InstallCRDs applies every *.yaml of a folder, each one CustomResourceDefinition, and waits until all are Established.
func (c *Cluster) InstallCRDs(ctx context.Context, dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return fmt.Errorf("installing the kinds of %s: %w", dir, err)
	}
	if len(paths) == 0 {
		return fmt.Errorf("installing the kinds of %s: no *.yaml there; give the folder of the custom resource definitions", dir)
	}
	client, err := dynamic.NewForConfig(c.AdminConfig())
	if err != nil {
		return fmt.Errorf("installing the kinds of %s: making a client: %w", dir, err)
	}
	var names []string
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("installing the kinds of %s: %w", dir, err)
		}
		var crd unstructured.Unstructured
		if err := yaml.Unmarshal(text, &crd.Object); err != nil {
			return fmt.Errorf("installing the kinds: reading %s: %w; correct the file", path, err)
		}
		if crd.GetKind() != "CustomResourceDefinition" {
			return fmt.Errorf("installing the kinds: %s holds a %q: keep one CustomResourceDefinition a file", path, crd.GetKind())
		}
		if _, err := client.Resource(crdResource).Apply(ctx, crd.GetName(), &crd, metav1.ApplyOptions{FieldManager: "testbed", Force: true}); err != nil {
			return fmt.Errorf("installing the kinds: applying %s: %w; correct the file", path, err)
		}
		names = append(names, crd.GetName())
	}
	for _, name := range names {
		if err := c.poll(ctx, "installing the kinds: waiting for "+name, func(ctx context.Context) error { return established(ctx, client, name) }); err != nil {
			return err
		}
	}
	return nil
}

func established(ctx context.Context, client dynamic.Interface, name string) error {
	crd, err := client.Resource(crdResource).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	conditions, _, err := unstructured.NestedSlice(crd.Object, "status", "conditions")
	if err != nil {
		return err
	}
	for _, item := range conditions {
		condition, _ := item.(map[string]any)
		if condition["type"] == "Established" && condition["status"] == "True" {
			return nil
		}
	}
	return errors.New("not Established yet")
}
