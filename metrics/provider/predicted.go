package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/metrics/pkg/apis/custom_metrics"
	"k8s.io/metrics/pkg/apis/external_metrics"

	"swell/api/v1alpha1"
)

const (
	// predictionAge is how old a forecast may be that is served, in model time.
	predictionAge = 5 * time.Minute
	// predictionHeld is how long a prediction may be missing before HPAs are let go on without it, in model time.
	predictionHeld = 15 * time.Minute

	labelBalloon = "balloon"
	// labelPrediction says what a value is that is no forecast.
	labelPrediction = "prediction"
	predictionNone  = "None"
)

// ErrNoBalloon says that there is no Balloon of a name.
var ErrNoBalloon = errors.New("there is no such Balloon")

// Balloons is what is known of Balloons.
type Balloons interface {
	// Get is one as it was last seen; ErrNoBalloon where it is not there.
	Get(ctx context.Context, name types.NamespacedName) (*v1alpha1.Balloon, error)
	// In are those of a namespace.
	In(ctx context.Context, namespace string) ([]v1alpha1.Balloon, error)
	// OthersDecide is nil where HPAs ask for a Balloon's prediction and each of them has another metric to go by; else it says
	// which has none.
	OthersDecide(ctx context.Context, name types.NamespacedName) error
}

// SetBalloons says where Balloons are known; it is called before anything is asked.
func (p *Provider) SetBalloons(b Balloons) { p.balloons = b }

// prediction is what is served of one Balloon.
type prediction struct {
	balloon *v1alpha1.Balloon
	value   resource.Quantity
	at      time.Time // the machine's
	none    bool      // it is no forecast: it adds nothing to what the HPA's other metrics ask for
}

func (p *Provider) prediction(ctx context.Context, name types.NamespacedName) (prediction, error) {
	if p.balloons == nil {
		return prediction{}, failure(PredictedReplicas, errors.New("this server does not watch Balloons"))
	}
	b, err := p.balloons.Get(ctx, name)
	switch {
	case errors.Is(err, ErrNoBalloon):
		return prediction{}, &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound,
			Message: fmt.Sprintf("serve %s: Balloon %s is not there: create it in the HPA's namespace, or take the metric out of the HPA", PredictedReplicas, name)}}
	case err != nil:
		return prediction{}, failure(PredictedReplicas, fmt.Errorf("balloon %s: %w", name, err))
	}
	return p.predictionOf(ctx, b)
}

func (p *Provider) predictionOf(ctx context.Context, b *v1alpha1.Balloon) (prediction, error) {
	name := types.NamespacedName{Namespace: b.Namespace, Name: b.Name}
	now := p.clock.Now()
	s, since, why := b.Status, b.CreationTimestamp.Time, "swell-scaler has not forecast for it yet"
	if s.StartPods != nil && s.ForecastAt != nil {
		since = s.ForecastAt.Time
		age := now.Sub(p.clock.At(since)).Truncate(time.Second)
		if b.Spec.Mode != v1alpha1.Observe && age <= predictionAge && age >= -predictionAge {
			value, err := resource.ParseQuantity(string(*s.StartPods))
			if err != nil {
				return prediction{}, failure(PredictedReplicas, fmt.Errorf("balloon %s: status.startPods is %q: see that swell-scaler and swell-metrics are of one version", name, *s.StartPods))
			}
			return prediction{balloon: b, value: value, at: since}, nil
		}
		why = fmt.Sprintf("its last forecast is %s old, and %s the most: see that swell-scaler runs", age, predictionAge)
		if age < 0 {
			why = fmt.Sprintf("its last forecast is stamped %s ahead of now: see that the clocks of swell-scaler's and swell-metrics' nodes are right", -age)
		}
	}
	if c := meta.FindStatusCondition(s.Conditions, "Ready"); c != nil && c.Status == metav1.ConditionFalse {
		why = fmt.Sprintf("its forecast is not ready: %s (%s)", c.Message, c.Reason)
	}
	if b.Spec.Mode == v1alpha1.Observe {
		why = "it only observes: set spec.mode to Enforce, or take the metric out of the HPA"
	} else if missing := now.Sub(p.clock.At(since)); missing <= predictionHeld {
		return prediction{}, failure(PredictedReplicas, fmt.Errorf("balloon %s: %s", name, why))
	}
	if err := p.balloons.OthersDecide(ctx, name); err != nil {
		return prediction{}, failure(PredictedReplicas, fmt.Errorf("balloon %s: %s; nothing is served in its place, since %w", name, why, err))
	}
	return prediction{balloon: b, value: *resource.NewQuantity(0, resource.DecimalSI), at: p.clock.RealTime(now), none: true}, nil
}

// externalPrediction answers a selector that names a Balloon in the asker's namespace.
func (p *Provider) externalPrediction(ctx context.Context, namespace string, selector labels.Selector) (*external_metrics.ExternalMetricValueList, error) {
	balloon, err := SelectedBalloon(selector)
	if err != nil {
		return nil, badRequest(PredictedReplicas, err)
	}
	one, err := p.prediction(ctx, types.NamespacedName{Namespace: namespace, Name: balloon})
	if err != nil {
		return nil, err
	}
	l := map[string]string{labelBalloon: balloon}
	if one.none {
		l[labelPrediction] = predictionNone
	}
	return &external_metrics.ExternalMetricValueList{Items: []external_metrics.ExternalMetricValue{
		{MetricName: PredictedReplicas, MetricLabels: l, Timestamp: metav1.NewTime(one.at), Value: one.value}}}, nil
}

// SelectedBalloon is the Balloon that a selector of swell_predicted_replicas names.
func SelectedBalloon(selector labels.Selector) (string, error) {
	requirements, selectable := selector.Requirements()
	if !selectable || len(requirements) != 1 || requirements[0].Key() != labelBalloon {
		return "", fmt.Errorf("the selector is %q: give label %s, the name of a Balloon in the HPA's namespace, and no other", selector, labelBalloon)
	}
	r := requirements[0]
	op, values := r.Operator(), r.Values().UnsortedList()
	if op != selection.Equals && op != selection.DoubleEquals && op != selection.In || len(values) != 1 || values[0] == "" {
		return "", fmt.Errorf("the selector is %q: give label %s one value", selector, labelBalloon)
	}
	return values[0], nil
}

// objectPrediction answers for one Balloon.
func (p *Provider) objectPrediction(ctx context.Context, name types.NamespacedName, of labels.Selector) (*custom_metrics.MetricValue, error) {
	if err := noLabels(of); err != nil {
		return nil, err
	}
	one, err := p.prediction(ctx, name)
	if err != nil {
		return nil, err
	}
	v := one.object()
	return &v, nil
}

// objectPredictions answers for the Balloons that have the labels. One that is unknown makes all of them unknown.
func (p *Provider) objectPredictions(ctx context.Context, namespace string, selector, of labels.Selector) (*custom_metrics.MetricValueList, error) {
	if err := noLabels(of); err != nil {
		return nil, err
	}
	if p.balloons == nil {
		return nil, failure(PredictedReplicas, errors.New("this server does not watch Balloons"))
	}
	all, err := p.balloons.In(ctx, namespace)
	if err != nil {
		return nil, failure(PredictedReplicas, fmt.Errorf("the Balloons of namespace %s: %w", namespace, err))
	}
	slices.SortFunc(all, func(a, b v1alpha1.Balloon) int { return strings.Compare(a.Name, b.Name) })
	list := &custom_metrics.MetricValueList{}
	for i := range all {
		if !selector.Matches(labels.Set(all[i].Labels)) {
			continue
		}
		one, err := p.predictionOf(ctx, &all[i])
		if err != nil {
			return nil, err
		}
		list.Items = append(list.Items, one.object())
	}
	return list, nil
}

func noLabels(of labels.Selector) error {
	if of != nil && !of.Empty() {
		return badRequest(PredictedReplicas, errors.New("it has no labels that a metric selector could match: leave the selector out"))
	}
	return nil
}

func (o prediction) object() custom_metrics.MetricValue {
	return custom_metrics.MetricValue{
		DescribedObject: custom_metrics.ObjectReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Balloon",
			Namespace: o.balloon.Namespace, Name: o.balloon.Name, UID: o.balloon.UID},
		Metric: custom_metrics.MetricIdentifier{Name: PredictedReplicas}, Timestamp: metav1.NewTime(o.at), Value: o.value,
	}
}
