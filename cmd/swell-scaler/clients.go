package main

import (
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"swell/scaler/ui"
)

// Calls a second to the API server. Each client has a budget of its own, with twice of it as the burst: drains of a zone want
// more than any budget has, and what buys must not wait for them; nor must balloons wait for Events on pods.
const (
	usualRate  = 100
	drainsRate = 50
	fenceRate  = 20
	eventsRate = 20
	pageRate   = ui.KubeRate // who a reader is and what he may
)

type clients struct{ usual, drains, fence, events, page kubernetes.Interface }

func newClients(base *rest.Config) (clients, error) {
	var c clients
	for _, own := range []struct {
		to   *kubernetes.Interface
		rate float32
	}{{&c.usual, usualRate}, {&c.drains, drainsRate}, {&c.fence, fenceRate}, {&c.events, eventsRate}, {&c.page, pageRate}} {
		config := rest.CopyConfig(base)
		config.QPS, config.Burst, config.RateLimiter = own.rate, int(2*own.rate), nil
		kube, err := kubernetes.NewForConfig(config)
		if err != nil {
			return clients{}, err
		}
		*own.to = kube
	}
	return c, nil
}
