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

// preparedOthers are the servers of a configuration, which nobody asks yet; nil: nothing changes.
type preparedOthers struct {
	config config.PassOn
	to     provider.PassOn
	runs   []func(context.Context)
}

// prepare makes the servers of a configuration. It fails where one cannot be reached as it is configured.
func (o *others) prepare(next config.PassOn) (*preparedOthers, error) {
	if o.stop != nil && reflect.DeepEqual(o.config, next) {
		return nil, nil
	}
	made := &preparedOthers{config: next}
	if next.External != nil {
		e, err := passon.NewExternal(passon.Options{Field: "passOn.external", Service: *next.External, Own: o.own, Log: o.log})
		if err != nil {
			return nil, err
		}
		made.to.External, made.runs = e, append(made.runs, e.Run)
	}
	if next.Custom != nil {
		c, err := passon.NewCustom(passon.Options{Field: "passOn.custom", Service: *next.Custom, Own: o.own, Log: o.log})
		if err != nil {
			return nil, err
		}
		made.to.Custom, made.runs = c, append(made.runs, c.Run)
	}
	return made, nil
}

// use passes on to prepared servers until the context ends, or others are used.
func (o *others) use(ctx context.Context, made *preparedOthers, p *provider.Provider) {
	if made == nil {
		return
	}
	if o.stop != nil {
		o.stop()
	}
	ctx, o.stop = context.WithCancel(ctx)
	o.config = made.config
	for _, run := range made.runs {
		go run(ctx)
	}
	p.SetPassOn(made.to)
}
