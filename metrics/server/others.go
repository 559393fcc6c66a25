package server

import (
	"context"
	"log/slog"
	"reflect"

	"k8s.io/client-go/rest"

	"swell/api/config"
	"swell/metrics/provider"
	"swell/metrics/provider/passon"
)

// others are the metrics servers that answer for what is not swell's own.
type others struct {
	own *rest.Config
	log *slog.Logger

	config config.PassOn
	stop   context.CancelFunc
}

// use passes on to the servers of a configuration until the context ends, or another is used. Where one cannot be
// reached as it is configured, nothing changes.
func (o *others) use(ctx context.Context, next config.PassOn, p *provider.Provider) error {
	if o.stop != nil && reflect.DeepEqual(o.config, next) {
		return nil
	}
	var (
		to   provider.PassOn
		runs []func(context.Context)
	)
	if next.External != nil {
		e, err := passon.NewExternal(passon.Options{Field: "passOn.external", Service: *next.External, Own: o.own, Log: o.log})
		if err != nil {
			return err
		}
		to.External, runs = e, append(runs, e.Run)
	}
	if next.Custom != nil {
		c, err := passon.NewCustom(passon.Options{Field: "passOn.custom", Service: *next.Custom, Own: o.own, Log: o.log})
		if err != nil {
			return err
		}
		to.Custom, runs = c, append(runs, c.Run)
	}
	if o.stop != nil {
		o.stop()
	}
	ctx, o.stop = context.WithCancel(ctx)
	o.config = next
	for _, run := range runs {
		go run(ctx)
	}
	p.SetPassOn(to)
	return nil
}
