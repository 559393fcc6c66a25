package server

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"swell/metrics/consumers"
)

// forbidden makes a cluster hide its commits, as of one who may no longer describe the only topic, and refuse its metadata.
func forbidden(t *testing.T, k *kfake.Cluster) (on *atomic.Bool) {
	on = &atomic.Bool{}
	k.ControlKey(int16(kmsg.OffsetFetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		resp := r.ResponseKind().(*kmsg.OffsetFetchResponse)
		for _, asked := range r.(*kmsg.OffsetFetchRequest).Groups {
			g := kmsg.NewOffsetFetchResponseGroup()
			g.Group = asked.Group
			resp.Groups = append(resp.Groups, g)
		}
		return resp, nil, on.Load()
	})
	k.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		resp := r.ResponseKind().(*kmsg.MetadataResponse)
		b := kmsg.NewMetadataResponseBroker()
		host, port, _ := strings.Cut(k.ListenAddrs()[0], ":")
		_, _ = fmt.Sscan(port, &b.Port)
		b.Host = host
		resp.Brokers = append(resp.Brokers, b)
		for _, asked := range r.(*kmsg.MetadataRequest).Topics {
			one := kmsg.NewMetadataResponseTopic()
			one.Topic, one.ErrorCode = asked.Topic, 29
			resp.Topics = append(resp.Topics, one)
		}
		return resp, nil, on.Load()
	})
	return on
}

func TestReloadDoesNotForgetWhatAGroupReads(t *testing.T) {
	k := kafkaOf(t, "g")
	config := func(every string) string {
		return fmt.Sprintf("clusters: [{name: main, brokers: ['%s'], pollEvery: %s, metadataEvery: 20ms, staleAfter: 200ms}]\n", k.ListenAddrs()[0], every)
	}
	r := newReloading(t, config("20ms"))
	ask := consumers.Question{Cluster: "main", Group: "g", Namespace: "shop"}
	known := func() error { _, err := r.known.Ask(ask); return err }
	eventually(t, "the first answer", known)
	on := forbidden(t, k)
	on.Store(true)
	refused := func() error {
		if err := known(); err == nil || !strings.Contains(err.Error(), "Describe the topic") {
			return fmt.Errorf("got %v", err)
		}
		return nil
	}
	eventually(t, "the right is gone", refused)
	r.write(config("25ms"))
	r.reload(t.Context())
	now := r.pollers.get("main").poller
	eventually(t, "ten polls of the next poller", func() error {
		if n := now.Stats().Polls; n < 10 {
			return fmt.Errorf("%d polls", n)
		}
		return nil
	})
	if err := refused(); err != nil {
		t.Error(err)
	}
	on.Store(false)
	eventually(t, "the right is back", known)
}
