package server

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"reflect"
	"time"

	"swell/api/config"
)

// configFile is the configuration file as it was read last. It is told apart by its content: a ConfigMap changes by the swap of
// a link, which changes no time of the file.
type configFile struct {
	path string
	sum  [sha256.Size]byte
}

// load reads the file.
func (f *configFile) load() (*config.Metrics, error) {
	f.sum = f.content()
	return config.LoadMetrics(f.path)
}

// changed says that the content is another than at the last load.
func (f *configFile) changed() bool { return f.content() != f.sum }

func (f *configFile) content() [sha256.Size]byte {
	raw, err := os.ReadFile(f.path)
	if err != nil {
		return sha256.Sum256([]byte("unreadable: " + err.Error()))
	}
	return sha256.Sum256(raw)
}

// watchConfig puts each new content of the configuration file in force, until the context ends. One that is invalid changes nothing.
func (i *instance) watchConfig(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(i.reloadEvery):
		}
		i.reload(ctx)
	}
}

// reload looks at the configuration file once.
func (i *instance) reload(ctx context.Context) {
	if !i.file.changed() {
		return
	}
	next, err := i.file.load()
	if err == nil {
		err = i.apply(ctx, next)
	}
	i.scrape.note(err)
	if err != nil {
		i.log.Error("the changed configuration is not used; the one before stays in force", "error", err)
		return
	}
	i.log.Info("the changed configuration is in force", "clusters", len(next.Clusters))
}

// apply changes what runs to another configuration, or nothing of it. Pollers whose cluster did not change run on.
func (i *instance) apply(ctx context.Context, next *config.Metrics) error {
	i.keepFixed(next)
	made, err := i.pollers.prepare(next.Clusters)
	if err != nil {
		return err
	}
	if err := i.others.use(ctx, next.PassOn, i.provider); err != nil {
		abandon(made)
		return err
	}
	if err := i.collect(next); err != nil {
		abandon(made)
		return err
	}
	i.pollers.stop(next.Clusters)
	i.known.SetConfig(next)
	i.pollers.start(ctx, made, next.Clusters)
	i.config = next
	return nil
}

// keepFixed leaves what cannot change while the server runs as it is.
func (i *instance) keepFixed(next *config.Metrics) {
	for _, f := range []struct {
		name     string
		now, new any
	}{
		{"clock", &i.config.Clock, &next.Clock}, {"apis", &i.config.APIs, &next.APIs},
		{"listen", &i.config.Listen, &next.Listen}, {"lease", &i.config.Lease, &next.Lease},
	} {
		now, changed := reflect.ValueOf(f.now).Elem(), reflect.ValueOf(f.new).Elem()
		if reflect.DeepEqual(now.Interface(), changed.Interface()) {
			continue
		}
		i.log.Warn("a changed field of the configuration needs a restart", "field", f.name, "inForce", fmt.Sprint(now.Interface()), "file", fmt.Sprint(changed.Interface()))
		changed.Set(now)
	}
}
