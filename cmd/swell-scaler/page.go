package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"

	"swell/scaler"
	"swell/scaler/ledger"
	"swell/scaler/ui"
)

// addPage has every replica serve the page, where the configuration wants one, and the loop show it what it does.
func addPage(manager ctrl.Manager, kube kubernetes.Interface, book *ledger.Ledger, options *scaler.Options) error {
	c := options.Config
	options.Replica = replica(options.Self)
	if c.Page.Bind == "" {
		return nil
	}
	entries, err := ui.Newest(filepath.Join(c.LedgerDir, ledger.FileName))
	if err != nil {
		options.Log.Warn("the page begins without the decisions of before", "error", err)
	}
	page := ui.New(ui.Options{Page: c.Page, Clock: c.Clock, Kube: kube, Namespace: c.LeaderElection.Namespace, Replica: options.Replica,
		Elected: manager.Elected(), Archive: func(w io.Writer) error { return ledger.Archive(c.LedgerDir, w) }, Log: options.Log}, entries)
	book.Watch(page.Decided)
	options.Page = page
	if err := manager.Add(page); err != nil {
		return fmt.Errorf("starting the page: %w", err)
	}
	return nil
}

// replica is the pod's name, or the host's.
func replica(self string) string {
	if _, name, ok := strings.Cut(self, "/"); ok {
		return name
	}
	host, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return host
}
