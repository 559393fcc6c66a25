package aws

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Main is the emulator as a process; args leave the program's name out. It returns the exit code: 1 for a failed run, 2 for bad usage.
func Main(args []string) int {
	flags := flag.NewFlagSet("aws", flag.ContinueOnError)
	dir := flags.String("dir", "", "directory of the logs, from which a restart goes on")
	listen := flags.String("listen", "127.0.0.1:0", "address to serve on")
	fleet := flags.String("fleet", "", "fleet.yaml: the groups, types, prices and boot times")
	kubeconfig := flags.String("kubeconfig", "", "cluster that booted instances join; empty posts no Nodes")
	seed := flags.Uint64("seed", 1, "seed of boot times")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if *fleet == "" || *dir == "" || flags.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "aws: --fleet and --dir are needed, and nothing but flags is taken")
		return 2
	}
	if host, _, err := net.SplitHostPort(*listen); err != nil || host != "127.0.0.1" {
		fmt.Fprintf(os.Stderr, "aws: --listen is %q: give 127.0.0.1:PORT\n", *listen)
		return 2
	}
	f, err := ReadFleet(*fleet)
	if err != nil {
		fmt.Fprintln(os.Stderr, "aws:", err)
		return 2
	}
	if err := serve(f, *dir, *listen, *kubeconfig, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "aws:", err)
		return 1
	}
	return 0
}

func serve(f Fleet, dir, listen, kubeconfig string, seed uint64) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listening: %w; give --listen a free port", err)
	}
	e, err := New(Options{Fleet: f, Dir: dir, Seed: seed, Kubeconfig: kubeconfig, Log: log})
	if err != nil {
		listener.Close()
		return err
	}
	defer e.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	log.Info("serving", "address", listener.Addr().String(), "groups", len(f.Groups))
	select {
	case err := <-done:
		return fmt.Errorf("serving %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	// long polls end with their clients
	quick, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := server.Shutdown(quick); err != nil {
		return server.Close()
	}
	return nil
}
