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
	// again says that the content is to be tried again, though it is the same.
	again bool
	// refused is the last content and reason that were told.
	refused refusal
}

type refusal struct {
	sum    [sha256.Size]byte
	reason string
}

// load reads the file.
func (f *configFile) load() (*config.Metrics, error) {
	f.sum, f.again = f.content(), false
	return config.LoadMetrics(f.path)
}

// changed says that the content is another than at the last load, or is to be tried again.
func (f *configFile) changed() bool { return f.again || f.content() != f.sum }

// refuse keeps why the content that was loaded is not used, and says whether that is news.
func (f *configFile) refuse(err error) (news bool) {
	r := refusal{f.sum, err.Error()}
	news = f.refused != r
	f.refused = r
	return news
}

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
		// The file is right by itself: what it names may be put right without it.
		i.file.again = err != nil
	}
	i.scrape.note(err)
	if err != nil {
		if i.file.refuse(err) {
			i.log.Error("the changed configuration is not used; the one before stays in force", "error", err)
		}
		return
	}
	i.file.refused = refusal{}
	i.log.Info("the changed configuration is in force", "clusters", len(next.Clusters))
}

// apply changes what runs to another configuration, or nothing of it: all that can fail comes first. Pollers whose cluster did
// not change run on.
func (i *instance) apply(ctx context.Context, next *config.Metrics) error {
	ignored := i.keepFixed(next)
	others, err := i.others.prepare(next.PassOn)
	if err != nil {
		return err
	}
	scrapes, err := i.scrape.prepare(i.collector(next))
	if err != nil {
		return err
	}
	made, err := i.pollers.prepare(next.Clusters)
	if err != nil {
		return err
	}
	for _, f := range ignored {
		i.log.Warn("a changed field of the configuration needs a restart", "field", f.name, "inForce", f.now, "file", f.file)
	}
	i.others.use(ctx, others, i.provider)
	i.scrape.use(scrapes)
	i.pollers.stop(next.Clusters)
	i.known.SetConfig(next)
	i.pollers.start(ctx, made, next.Clusters)
	i.config = next
	return nil
}

// fixedField is a field that changed in the file alone.
type fixedField struct{ name, now, file string }

// keepFixed leaves what cannot change while the server runs as it is, and says what was to change.
func (i *instance) keepFixed(next *config.Metrics) (ignored []fixedField) {
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
		ignored = append(ignored, fixedField{f.name, fmt.Sprint(now.Interface()), fmt.Sprint(changed.Interface())})
		changed.Set(now)
	}
	return ignored
}
