package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
)

// kubectl finds its plug-ins, and what completes their words, by these names on the PATH.
const (
	pluginFile   = "kubectl-swell"
	completeFile = "kubectl_complete-swell"
	completeText = "#!/bin/sh\n# asks swell for the words that kubectl swell may go on with\nexec kubectl swell __complete \"$@\"\n"
)

type pluginOutput struct {
	Files  []string `json:"files"`
	OnPath bool     `json:"onPath"`
}

func pluginCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "plugin", Short: "Have kubectl know swell as its plug-in", Args: noArgs,
		Long: "Have kubectl know swell as its plug-in: kubectl swell.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return usageError{fmt.Errorf("%s: no command was given; give one of those above", cmd.CommandPath())}
		},
	}
	c.AddCommand(pluginInstallCommand())
	return c
}

func pluginInstallCommand() *cobra.Command {
	var dir string
	var asJSON bool
	c := &cobra.Command{
		Use: "install", Short: "Put kubectl-swell and what completes its words into a folder", Args: noArgs,
		Long: `Put kubectl-swell, a link to this program, and kubectl_complete-swell, which lets a shell complete its words, into a folder of the PATH.
Run it again after swell was moved. To take it back remove the two files.`,
		Example: "  swell plugin install --dir /usr/local/bin",
		RunE: func(cmd *cobra.Command, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return fmt.Errorf("%s: finding this program: %w; make the link by hand", cmd.CommandPath(), err)
			}
			if dir == "" {
				dir = filepath.Dir(program)
			}
			out, err := installPlugin(program, dir, filepath.SplitList(os.Getenv("PATH")))
			if err != nil {
				return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), out)
			}
			for _, f := range out.Files {
				fmt.Fprintln(cmd.OutOrStdout(), f)
			}
			if !out.OnPath {
				fmt.Fprintf(cmd.OutOrStdout(), "%s is not on the PATH: kubectl does not find them until it is.\n", dir)
			}
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder, which must be there; absent: the one that this program is in")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return c
}

// installPlugin makes the two files; what is there of them already is replaced, and nothing else is.
func installPlugin(program, dir string, path []string) (pluginOutput, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return pluginOutput{}, err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return pluginOutput{}, usageError{fmt.Errorf("%s is no folder; give one with --dir", dir)}
	}
	out := pluginOutput{OnPath: slices.Contains(path, dir)}
	link := filepath.Join(dir, pluginFile)
	if program != link { // called as the plug-in, which is in its place already
		switch old, err := os.Lstat(link); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return out, err
		case old.Mode()&fs.ModeSymlink == 0:
			return out, fmt.Errorf("%s is there and no link; remove it first", link)
		default:
			if err := os.Remove(link); err != nil {
				return out, err
			}
		}
		if err := os.Symlink(program, link); err != nil {
			return out, fmt.Errorf("%w; give a folder that you may write to with --dir", err)
		}
	}
	complete := filepath.Join(dir, completeFile)
	if err := os.WriteFile(complete, []byte(completeText), 0o755); err != nil {
		return out, fmt.Errorf("%w; give a folder that you may write to with --dir", err)
	}
	out.Files = []string{link, complete}
	return out, os.Chmod(complete, 0o755) // one that was there keeps its mode
}
