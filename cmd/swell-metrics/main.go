// Command swell-metrics serves the backlog of Kafka consumer groups to the HorizontalPodAutoscaler.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"swell/metrics/server"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	logger := logr.FromSlogHandler(log.Handler())
	klog.SetLogger(logger)
	ctrllog.SetLogger(logger)
	s := server.New(log)
	if err := s.Flags().Parse(os.Args[1:]); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return
		}
		log.Error("read the flags", "error", err)
		os.Exit(2)
	}
	if version, asked := s.Version(); asked {
		fmt.Println(version)
		return
	}
	if os.Getenv("GOGC") == "" {
		// What is live hardly changes from poll to poll, so that the usual head room of as much again is mostly waste.
		debug.SetGCPercent(50)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once, whatever is still served.
	context.AfterFunc(ctx, stop)
	if err := s.Run(ctx); err != nil {
		log.Error("swell-metrics stopped", "error", err)
		stop()
		os.Exit(1)
	}
}
