// Command swell-metrics serves the backlog of Kafka consumer groups to the HorizontalPodAutoscaler.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once, whatever is still served.
	context.AfterFunc(ctx, stop)
	log := newLog(os.Stderr)
	logger := logr.FromSlogHandler(log.Handler())
	klog.SetLogger(logger)
	ctrllog.SetLogger(logger)
	code := run(ctx, os.Args[1:], os.Stdout, log)
	stop()
	os.Exit(code)
}

// run serves until the context ends, and gives the exit code: 1 is a failed run, 2 bad usage.
func run(ctx context.Context, args []string, stdout io.Writer, log *slog.Logger) int {
	s := server.New(log)
	flags := s.Flags()
	flags.Usage = func() { printUsage(stdout, flags) }
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return 0
		}
		log.Error("read the flags; swell-metrics --help lists them", "error", err)
		return 2
	}
	if flags.NArg() > 0 {
		log.Error("read the flags", "error", fmt.Sprintf("unknown argument %q; the configuration is given with --config", flags.Arg(0)))
		return 2
	}
	if version, asked := s.Version(); asked {
		fmt.Fprintln(stdout, version)
		return 0
	}
	if os.Getenv("GOGC") == "" {
		// What is live hardly changes from poll to poll, so that the usual head room of as much again is mostly waste.
		debug.SetGCPercent(50)
	}
	if err := s.Run(ctx); err != nil {
		log.Error("swell-metrics stopped", "error", err)
		return 1
	}
	return 0
}

// newLog writes one JSON object a line.
func newLog(to io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(to, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration { // else a bare number of nanoseconds
			a.Value = slog.StringValue(a.Value.Duration().String())
		}
		return a
	}}))
}
