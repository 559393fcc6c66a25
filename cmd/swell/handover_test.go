package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"swell/scaler/handover"
)

func TestTheNextStepOfAMove(t *testing.T) {
	part := func(share float64, balloons, running int32) side {
		pods := int32(3)
		return side{Present: true, Share: &share, Ready: &pods, Balloons: balloons, Running: running, HistoryRows: 9}
	}
	begun := time.Now().Add(-time.Hour)
	unknown := part(0, 0, 0)
	unknown.Share = nil
	queued := part(1, 0, 0)
	queued.Queue = true
	for name, c := range map[string]struct {
		old, young side
		begun      *time.Time
		says       string
	}{
		"nothing there":      {part(1, 0, 0), side{}, nil, "export and import"},
		"the past is there":  {part(1, 0, 0), side{HistoryRows: 9}, nil, "apply Balloon shop/web"},
		"no share":           {part(1, 0, 0), unknown, nil, "correct spec.share"},
		"no queue":           {queued, part(0.1, 2, 2), nil, "QueueConsumer"},
		"not sized":          {part(1, 0, 0), part(0.1, 0, 0), nil, "wait until"},
		"booting":            {part(1, 0, 0), part(0.1, 4, 3), nil, "wait: 3 of 4 balloons"},
		"warm":               {part(1, 0, 0), part(0.1, 4, 4), nil, "move 10% of the traffic"},
		"some has moved":     {part(0.9, 0, 0), part(0.1, 4, 4), &begun, "raise spec.share in the new"},
		"none of it is held": {part(0.6, 0, 0), part(0.1, 4, 4), &begun, "60% and 10% leave 30% of the demand without room"},
		"in sum it is all":   {part(1-0.1-0.2, 0, 0), part(0.1+0.2, 4, 4), &begun, "raise spec.share in the new"},
		"the old one stays":  {part(0, 0, 0), part(1, 4, 4), &begun, "from the old cluster"},
	} {
		a := application{Namespace: "shop", Balloon: "web", Old: c.old, New: c.young}
		share := 0.0
		if c.young.Present {
			share = math.NaN()
			if c.young.Share != nil {
				share = *c.young.Share
			}
		}
		a.Progress = handover.Judge(time.Now(), time.Time{}, share, nil)
		a.Begun = c.begun
		if got := a.next(); !strings.Contains(got, c.says) {
			t.Errorf("%s: %s: next is %q, want %q", name, a.State, got, c.says)
		}
	}
}

// The namespace of the histories is the configuration's, unless another is given.
func TestAHandOverLooksWhereTheConfigurationKeepsHistories(t *testing.T) {
	kubeconfig := whyServer(t, map[string]string{
		"/apis/capacity.swell/v1alpha1/balloons":     `{"kind": "BalloonList", "items": []}`,
		"/api/v1/namespaces/scaling/configmaps":      `{"kind": "ConfigMapList", "apiVersion": "v1", "items": []}`,
		"/api/v1/namespaces/elsewhere/configmaps":    `{"kind": "ConfigMapList", "apiVersion": "v1", "items": []}`,
		"/api/v1/namespaces/swell-system/configmaps": `{"kind": "ConfigMapList", "apiVersion": "v1", "items": []}`,
	})
	file := func(history string) string {
		return write(t, "scaler.yaml", "aws: {region: ap-northeast-1}\nledgerDir: ledger\nhistory: "+history+"\n")
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"the configuration's": {[]string{"--config", file("{checkpoints: scaling}")}, exitFailed, "no history in namespace scaling"},
		"another":             {[]string{"--config", file("{checkpoints: scaling}"), "--checkpoints", "elsewhere"}, exitFailed, "no history in namespace elsewhere"},
		"no configuration":    {nil, exitFailed, "no history in namespace swell-system"},
		"nothing is kept":     {[]string{"--config", file("{timeZone: UTC}")}, exitUsage, "history.checkpoints"},
	} {
		args := append([]string{"handover", "export", "--out", t.TempDir() + "/x", "--kubeconfig", kubeconfig}, c.args...)
		if code, _, stderr := swell(t, args...); code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: exit %d, %s: want %d and %q", name, code, stderr, c.code, c.says)
		}
	}
}
