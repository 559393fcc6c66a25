package main

import (
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
)

// What drains ask for is taken from no other client's budget.
func TestEachClientHasABudgetOfItsOwn(t *testing.T) {
	c, err := newClients(&rest.Config{Host: "http://127.0.0.1:1", RateLimiter: flowcontrol.NewTokenBucketRateLimiter(1, 1)})
	if err != nil {
		t.Fatal(err)
	}
	limiters := map[flowcontrol.RateLimiter]string{}
	for name, kube := range map[string]kubernetes.Interface{"usual": c.usual, "drains": c.drains, "fence": c.fence, "events": c.events, "page": c.page} {
		limiter := kube.CoreV1().RESTClient().GetRateLimiter()
		if with, taken := limiters[limiter]; taken {
			t.Errorf("%s shares the budget of %s", name, with)
		}
		limiters[limiter] = name
		if probe := kube.Discovery().RESTClient().GetRateLimiter(); probe != limiter {
			t.Errorf("%s has another budget for the probe", name)
		}
		if want := map[string]float32{"usual": usualRate, "drains": drainsRate, "fence": fenceRate, "events": eventsRate, "page": pageRate}[name]; limiter.QPS() != want {
			t.Errorf("%s may call %g times a second: want %g", name, limiter.QPS(), want)
		}
	}
}
