// Command swell is the command line of swell; installed as kubectl-swell it is kubectl's plug-in of that name.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	_ "time/tzdata" // time zones by name, on machines without them

	"github.com/spf13/cobra"

	"swell/api/version"
)

// Exit codes that scripts rely on.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is bad usage or bad input, as against a run that failed.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() { os.Exit(runAs(os.Args[0], os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int { return runAs("swell", args, stdout, stderr) }

// runAs is run under the name that the program was called by.
func runAs(name string, args []string, stdout, stderr io.Writer) int {
	root := rootCommand()
	if strings.HasPrefix(filepath.Base(name), pluginFile) {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl swell"}
	}
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
		Version:       version.Get().Version,
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
	root.SetVersionTemplate(version.Get().Line("swell") + "\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%s: %w; see %s --help", cmd.CommandPath(), err, cmd.CommandPath())}
	})
	root.PersistentFlags().Bool("progress", false, "tell on stderr how far a command is that takes long, though that is no terminal")
	root.AddCommand(
		backtestCommand(),
		checkCommand(),
		explainCommand(),
		forecastCommand(),
		freezeCommand(),
		handoverCommand(),
		historyCommand(),
		holdCommand(),
		ledgerCommand(),
		pageCommand(),
		pluginCommand(),
		releaseCommand(),
		replayCommand(),
		reportCommand(),
		scheduleCommand(),
		shadowCommand(),
		unfreezeCommand(),
		uninstallCommand(),
		versionCommand(),
		whyCommand(),
	)
	completeNames(root)
	withProgress(root)
	return root
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s: %q is not expected here; see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath())}
	}
	return nil
}
