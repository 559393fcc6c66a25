package history

import (
	"fmt"
	"strconv"
	"time"

	"swell/api/v1alpha1"
)

// FreshQueue is how old a QueueConsumer's numbers may be: three times as old as they get while all is well.
const FreshQueue = 3 * time.Minute

// FromQueue is λ/(u·μ): the pods that keep up with what is produced. At is when the status was sampled, on the clock of now.
func FromQueue(q *v1alpha1.QueueConsumer, now, at time.Time) Demand {
	name := "QueueConsumer " + q.Name
	s := q.Status
	switch {
	case s.SampledAt == nil:
		return Unknown(NoMetric, name+" shows no sample yet")
	case now.Sub(at) > FreshQueue:
		return Unknown(NoMetric, fmt.Sprintf("%s was sampled %s ago, more than %s", name, now.Sub(at).Round(time.Second), FreshQueue))
	case s.ProduceRate == nil:
		return Unknown(NoMetric, name+" shows no produce rate")
	case s.PerPodRate == nil:
		return Unknown(NoMetric, name+" shows no rate of one pod")
	}
	rate, err := strconv.ParseFloat(string(*s.ProduceRate), 64)
	perPod, err2 := strconv.ParseFloat(string(*s.PerPodRate), 64)
	utilization := 0.8
	if u := q.Spec.Utilization; u != "" {
		if v, err := strconv.ParseFloat(string(u), 64); err == nil {
			utilization = v
		}
	}
	if err != nil || err2 != nil || !(perPod > 0) || !(utilization > 0) {
		return Unknown(Invalid, fmt.Sprintf("%s shows %s messages a second and %s a pod, which make no number of pods", name, *s.ProduceRate, *s.PerPodRate))
	}
	pods := rate / (utilization * perPod)
	return known(pods, fmt.Sprintf("%s messages a second at %s a pod, %g of it planned for, ask for %.1f pods", *s.ProduceRate, *s.PerPodRate, utilization, pods))
}
