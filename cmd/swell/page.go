package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"swell/scaler/ui/local"
)

// pageWithin is how long the scaler may take for the state.
const pageWithin = 20 * time.Second

type pageFlags struct {
	scalerFlags
	port      int
	noBrowser bool
}

func pageCommand() *cobra.Command {
	var f pageFlags
	c := &cobra.Command{
		Use:   "page",
		Short: "Open the scaler's live page in the browser, or print its state",
		Long: `Open the scaler's live page in the browser: nodes, the next two hours, balloons, pending pods and decisions as they are made.

It reaches the leader's pod through the API server, as kubectl port-forward does, signs in there as the kubeconfig's user, and serves
the page on a port of this machine to the one browser that opens the printed address. It looks for the new leader when that changes.
You may need: get on leases and create on pods/portforward in the scaler's namespace, and get on capacitypools/page in the cluster.
With --json it prints the state once (its fields: docs/page.md).`,
		Example: "  swell page\n  swell page --json --context green",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.register(c)
	c.Flags().IntVar(&f.port, "port", 0, "port of 127.0.0.1 to serve it on; 0 is any")
	c.Flags().BoolVar(&f.noBrowser, "no-browser", false, "print the address and open nothing")
	return c
}

func (f pageFlags) run(cmd *cobra.Command) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	target, through, err := f.reach(cmd)
	if err != nil {
		return err
	}
	if f.asJSON {
		return printState(ctx, cmd, target, through)
	}
	server, err := local.New(ctx, target, through, f.port)
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "The page is at %s\nThe address works once; Ctrl-C ends it.\n", server.Address)
	if !f.noBrowser {
		go func() { // some openers stay until the browser is closed
			if err := openBrowser(server.Address); err != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "opening a browser: %v; open the address above\n", err)
			}
		}()
	}
	if err := server.Serve(ctx); err != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	return nil
}

func printState(ctx context.Context, cmd *cobra.Command, target *url.URL, through http.RoundTripper) error {
	ctx, cancel := context.WithTimeout(ctx, pageWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.JoinPath("api/state.json").String(), nil)
	if err != nil {
		return err
	}
	answer, err := through.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("%s: ask the scaler for its state: %w; %s", cmd.CommandPath(), err, mendOfReach(err, "give the address of its page by --url"))
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("%s: read the scaler's state: %w", cmd.CommandPath(), err)
	}
	var absent struct {
		Error  string `json:"error"`
		Leader string `json:"leader"`
	}
	if answer.StatusCode != http.StatusOK {
		if json.Unmarshal(text, &absent) == nil && absent.Error != "" {
			return fmt.Errorf("%s: %s; the leader is %s", cmd.CommandPath(), absent.Error, cmp.Or(absent.Leader, "unknown"))
		}
		return fmt.Errorf("%s: the scaler answers %s", cmd.CommandPath(), text)
	}
	if !json.Valid(text) {
		return fmt.Errorf("%s: the scaler's state is no JSON; see that --url is the page's address", cmd.CommandPath())
	}
	_, err = cmd.OutOrStdout().Write(text)
	return err
}

// openBrowser has the desktop open an address.
func openBrowser(address string) error {
	switch {
	case runtime.GOOS == "darwin":
		return exec.Command("open", address).Run()
	case runtime.GOOS == "windows":
		return exec.Command("rundll32", "url.dll,FileProtocolHandler", address).Run()
	case os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "":
		return errors.New("there is no desktop here")
	}
	return exec.Command("xdg-open", address).Run()
}
