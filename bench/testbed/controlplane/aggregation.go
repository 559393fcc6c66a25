package controlplane

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
)

const aggregationNamespace = "kube-system"

// APIServiceHost is the name that the certificate of an aggregated server must carry, as RegisterAPIService
// registers it: for external.metrics.k8s.io/v1beta1, v1beta1-external-metrics-k8s-io.kube-system.svc.
func APIServiceHost(groupVersion string) string {
	group, version, _ := strings.Cut(groupVersion, "/")
	return version + "-" + strings.ReplaceAll(group, ".", "-") + "." + aggregationNamespace + ".svc"
}

// RegisterAPIService makes the API server pass a group and version ("external.metrics.k8s.io/v1beta1") on to
// the server at a port of this machine, and waits until it is Available. caBundle, in PEM, has signed the
// server's certificate for APIServiceHost; without one the certificate is not checked.
func (c *Cluster) RegisterAPIService(ctx context.Context, groupVersion string, port int, caBundle []byte) error {
	doing := "registering the aggregated API " + groupVersion
	gv, err := schema.ParseGroupVersion(groupVersion)
	if err != nil || gv.Group == "" {
		return fmt.Errorf("%s: not of the form group/version; give for example external.metrics.k8s.io/v1beta1", doing)
	}
	core, err := kubernetes.NewForConfig(c.AdminConfig())
	if err != nil {
		return fmt.Errorf("%s: making a client: %w", doing, err)
	}
	services, err := aggregator.NewForConfig(c.AdminConfig())
	if err != nil {
		return fmt.Errorf("%s: making a client: %w", doing, err)
	}
	// without kube-proxy no cluster address leads anywhere; the API server dials an external name as it stands
	name, _, _ := strings.Cut(APIServiceHost(groupVersion), ".")
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: aggregationNamespace},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost",
			Ports: []corev1.ServicePort{{Name: "https", Port: int32(port)}}},
	}
	if _, err := core.CoreV1().Services(aggregationNamespace).Create(ctx, service, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("%s: making its service: %w; register each API once", doing, err)
	}
	servicePort := int32(port)
	api := &apiregistration.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: gv.Version + "." + gv.Group},
		Spec: apiregistration.APIServiceSpec{
			Group: gv.Group, Version: gv.Version, GroupPriorityMinimum: 100, VersionPriority: 100,
			Service:  &apiregistration.ServiceReference{Namespace: aggregationNamespace, Name: name, Port: &servicePort},
			CABundle: caBundle, InsecureSkipTLSVerify: len(caBundle) == 0,
		},
	}
	if _, err := services.ApiregistrationV1().APIServices().Create(ctx, api, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("%s: %w; register each API once", doing, err)
	}
	return c.poll(ctx, doing+": waiting for it to be Available", func(ctx context.Context) error {
		return available(ctx, services, api.Name)
	})
}

func available(ctx context.Context, services aggregator.Interface, name string) error {
	api, err := services.ApiregistrationV1().APIServices().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, condition := range api.Status.Conditions {
		if condition.Type == apiregistration.Available {
			if condition.Status == apiregistration.ConditionTrue {
				return nil
			}
			return fmt.Errorf("%s: %s", condition.Reason, condition.Message)
		}
	}
	return errors.New("no condition yet")
}
