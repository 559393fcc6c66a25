package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	externalv1beta1 "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"

	"swell/api/v1alpha1"
)

// apiReader reads objects from an API server.
type apiReader struct{ client *rest.RESTClient }

// newAPIReader also gives the namespace of the context.
func newAPIReader(f whyFlags) (r apiReader, namespace string, err error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: f.context})
	config, err := loader.ClientConfig()
	if err == nil {
		namespace, _, err = loader.Namespace()
	}
	if err != nil {
		return apiReader{}, "", fmt.Errorf("read the kubeconfig: %w", err)
	}
	config.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
	client, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return apiReader{}, "", fmt.Errorf("read the kubeconfig: %w", err)
	}
	return apiReader{client}, namespace, nil
}

// answerError is what an API server says in place of what was asked for.
type answerError struct {
	message string
	code    int
	// bare answers come from no API: nothing is served at the path, or nobody answers behind the API server.
	bare bool
}

func (e answerError) Error() string { return e.message }

// isMissing says that the API is there and the object is not.
func isMissing(err error) bool {
	var a answerError
	return errors.As(err, &a) && a.code == http.StatusNotFound && !a.bare
}

// isBare says that no API answered, with a code.
func isBare(err error, code int) bool {
	var a answerError
	return errors.As(err, &a) && a.code == code && a.bare
}

// read decodes what is at a path; an answerError has the server's own words.
func (r apiReader) read(ctx context.Context, into any, path, selector string) error {
	ctx, cancel := context.WithTimeout(ctx, whyTimeout)
	defer cancel()
	request := r.client.Get().AbsPath(path)
	if selector != "" {
		request = request.Param("labelSelector", selector)
	}
	body, err := request.DoRaw(ctx)
	if err != nil {
		var status metav1.Status
		if json.Unmarshal(body, &status) == nil && status.Message != "" {
			return answerError{message: status.Message + roleFor(status), code: int(status.Code)}
		}
		if told := apierrors.APIStatus(nil); errors.As(err, &told) {
			return answerError{message: err.Error(), code: int(told.Status().Code), bare: true}
		}
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("decode the answer of %s: %w", path, err)
	}
	return nil
}

// roleFor names the ClusterRole that grants what was forbidden, where swell has one for it.
func roleFor(status metav1.Status) string {
	if status.Code != http.StatusForbidden || status.Details == nil {
		return ""
	}
	var role string
	switch d := status.Details; {
	case d.Group == v1alpha1.GroupVersion.Group && d.Kind == "queueconsumers", d.Group == "external.metrics.k8s.io":
		role = "swell-metrics:view"
	case d.Group == v1alpha1.GroupVersion.Group:
		role = "swell-scaler:view"
	default:
		return ""
	}
	return fmt.Sprintf(": have the ClusterRole %q bound to you, or view, which it is a part of", role)
}

// queueConsumer reads one; where it is not there, the error says what is.
func (r apiReader) queueConsumer(ctx context.Context, namespace, name string) (*v1alpha1.QueueConsumer, error) {
	api := "/apis/" + v1alpha1.GroupVersion.String()
	all := fmt.Sprintf("%s/namespaces/%s/queueconsumers", api, namespace)
	var q v1alpha1.QueueConsumer
	err := r.read(ctx, &q, all+"/"+name, "")
	switch {
	case isBare(err, http.StatusNotFound):
		return nil, errors.New("this cluster has no kind QueueConsumer: install charts/swell/crds and swell-metrics, or give another --context")
	case isMissing(err):
		err = fmt.Errorf("there is no QueueConsumer %s in namespace %s", name, namespace)
		if there, failed := r.names(ctx, all); failed == nil && len(there) > 0 {
			return nil, fmt.Errorf("%w; %s", err, among(name, there))
		}
		var everywhere v1alpha1.QueueConsumerList
		if r.read(ctx, &everywhere, api+"/queueconsumers", "") == nil {
			for _, other := range everywhere.Items {
				if other.Name == name {
					return nil, fmt.Errorf("%w, and no other; did you mean \"%s/%s\"?", err, other.Namespace, name)
				}
			}
		}
		return nil, fmt.Errorf("%w, and no other; give a namespace that has some: kubectl get queueconsumers -A", err)
	case err != nil:
		return nil, fmt.Errorf("read QueueConsumer %s/%s: %w", namespace, name, err)
	}
	return &q, nil
}

// names are those of the objects at a path.
func (r apiReader) names(ctx context.Context, path string) ([]string, error) {
	var list metav1.PartialObjectMetadataList
	if err := r.read(ctx, &list, path, ""); err != nil {
		return nil, err
	}
	var names []string
	for _, o := range list.Items {
		names = append(names, o.Name)
	}
	return names, nil
}

// targetProblem says that a consumer's workload is not there; empty where it is, and where that cannot be told.
func (r apiReader) targetProblem(ctx context.Context, q *v1alpha1.QueueConsumer) string {
	t := q.Spec.ScaleTargetRef
	api := "/apis/" + t.APIVersion
	if !strings.Contains(t.APIVersion, "/") {
		api = "/api/" + t.APIVersion
	}
	all := fmt.Sprintf("%s/namespaces/%s/%ss", api, q.Namespace, strings.ToLower(t.Kind))
	if !isMissing(r.read(ctx, &metav1.PartialObjectMetadata{}, all+"/"+t.Name, "")) {
		return ""
	}
	problem := fmt.Sprintf("there is no %s %s in namespace %s: create it, or correct spec.scaleTargetRef", t.Kind, t.Name, q.Namespace)
	if there, err := r.names(ctx, all); err == nil {
		problem += "; " + among(t.Name, there)
	}
	return problem
}

// metric reads an external metric of a consumer.
func (r apiReader) metric(ctx context.Context, into *externalv1beta1.ExternalMetricValueList, q *v1alpha1.QueueConsumer, name string) error {
	api := externalv1beta1.SchemeGroupVersion
	err := r.read(ctx, into, fmt.Sprintf("/apis/%s/namespaces/%s/%s", api, q.Namespace, name), "consumer="+q.Name)
	switch {
	case isBare(err, http.StatusNotFound):
		return fmt.Errorf("this cluster does not serve %s: install swell-metrics with its APIService", api)
	case isBare(err, http.StatusServiceUnavailable):
		return fmt.Errorf("nobody answers for %s: %w: see kubectl get apiservice %s.%s, and the pods of swell-metrics", api, err, api.Version, api.Group)
	}
	return err
}

// unknownMetric is why a metric that the status lacks is not served; empty where it was not missing, or is served by now.
func (r apiReader) unknownMetric(ctx context.Context, q *v1alpha1.QueueConsumer, name string, missing bool) string {
	if !missing {
		return ""
	}
	if err := r.metric(ctx, &externalv1beta1.ExternalMetricValueList{}, q, name); err != nil {
		return err.Error()
	}
	return ""
}
