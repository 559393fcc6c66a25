// Command swell is the command line of swell; installed as kubectl-swell it is kubectl's plug-in of that name.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	_ "time/tzdata" // time zones by name, on machines without them

	"github.com/spf13/cobra"
)

// Exit codes that scripts rely on.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is bad usage or bad input, as against a run that failed.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "Error:", err)
		return exitUsage
	default:
		fmt.Fprintln(stderr, "Error:", err)
		return exitFailed
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "swell",
		Short:         "Keeps a Kubernetes cluster ahead of its load",
		Long:          "Keeps a Kubernetes cluster ahead of its load.\n\nExit codes: 0 is success, 1 a failed run, 2 bad usage or bad input.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				known := map[string]bool{}
				for _, c := range cmd.Commands() {
					known[c.Name()] = true
				}
				return usageError{fmt.Errorf("swell: unknown command %q%s", args[0], didYouMean(args[0], known))}
			}
			_ = cmd.Help()
			return usageError{errors.New("swell: no command was given; give one of those above")}
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%s: %w; see %s --help", cmd.CommandPath(), err, cmd.CommandPath())}
	})
	root.AddCommand(forecastCommand(), backtestCommand(), checkCommand(), whyCommand(), replayCommand(), historyCommand(), scheduleCommand(), freezeCommand(), unfreezeCommand(), holdCommand(), releaseCommand(), handoverCommand(), shadowCommand(), ledgerCommand(), uninstallCommand(), versionCommand())
	return root
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s: %q is not expected here; see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath())}
	}
	return nil
}

func versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			version, goVersion := "(devel)", ""
			if info, ok := debug.ReadBuildInfo(); ok {
				goVersion = info.GoVersion
				if info.Main.Version != "" {
					version = info.Main.Version
				}
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), struct {
					Version string `json:"version"`
					Go      string `json:"go"`
				}{version, goVersion})
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "swell", version, goVersion)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return c
}
