package passon

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// names are what the other server said last that it has. A server that does not answer keeps them.
type names struct {
	server   *server
	versions []string

	mu        sync.RWMutex
	version   string
	resources []metav1.APIResource
	failing   bool
}

// run looks at the names again and again until the context ends.
func (n *names) run(ctx context.Context) {
	for {
		n.note(n.refresh(ctx))
		select {
		case <-ctx.Done():
			return
		case <-time.After(n.server.opts.NamesEvery):
		}
	}
}

// note logs the first of several failures.
func (n *names) note(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	log := n.server.opts.Log.With("service", n.server.opts.Field, "url", n.server.opts.Service.URL)
	switch {
	case err != nil && !n.failing:
		log.Warn("the names of passed-on metrics are not read; the last known ones are kept", "error", err)
	case err == nil && n.failing:
		log.Info("the names of passed-on metrics are read again")
	}
	n.failing = err != nil
}

// refresh reads the names of the newest version that the server has.
func (n *names) refresh(ctx context.Context) error {
	var last error
	for _, version := range n.versions {
		raw, err := n.server.read(ctx, version, nil, nil)
		if apierrors.IsNotFound(err) {
			last = err
			continue
		}
		if err != nil {
			return err
		}
		var list metav1.APIResourceList
		if err := json.Unmarshal(raw, &list); err != nil {
			return n.server.failed(fmt.Errorf("read its names: %w", err))
		}
		n.mu.Lock()
		n.version, n.resources = version, list.APIResources
		n.mu.Unlock()
		return nil
	}
	return last
}

func (n *names) known() []metav1.APIResource {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.resources
}

// best is the version that values are asked in: the one that the names came from, or the newest.
func (n *names) best() string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.version == "" {
		return n.versions[0]
	}
	return n.version
}
