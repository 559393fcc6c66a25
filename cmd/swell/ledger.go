package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"swell/scaler/ledger"
)

func ledgerCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ledger",
		Short: "Fetch or verify what swell-scaler recorded",
		Long: `Fetch or verify what swell-scaler recorded. The ledger is a folder of files with one JSON object a line: what was decided, on which numbers,
what was rejected, and what came of it; the lives of instances, and what they held. It is read with jq:

  zcat -f ledger/ledger-*.jsonl.gz ledger/ledger.jsonl | jq 'select(.action == "launch")'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return usageError{fmt.Errorf("%s: no command was given; give one of those above", cmd.CommandPath())}
		},
	}
	c.AddCommand(ledgerFetchCommand(), ledgerVerifyCommand())
	return c
}

// verifyOutput is what is known of a ledger.
type verifyOutput struct {
	OK bool `json:"ok"`
	// Chains by folder: one, or one for each chain of a copy from S3.
	Chains []ledger.Verified `json:"chains"`
}

func ledgerVerifyCommand() *cobra.Command {
	var dir string
	var heads []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify --ledger DIR [--head SEQ:HASH]",
		Short: "Say whether a ledger is as it was written, or which line is not",
		Long: `Say whether a ledger is as it was written, or name the first line that was changed, removed, inserted, reordered or cut off. Each line
has the SHA-256 of the line before it and of itself. A line that a crash left unfinished is no fault.

Whoever can write to the folder could cut off its end, or write all of it anew. That shows only against a line that was kept elsewhere:
the scaler logs its newest line every five minutes as "ledger head" and keeps it in the ConfigMap swell-scaler-ledger. Give it as
--head, as often as you have some. A copy from S3 ends up to an hour before the newest.

It reads a copy of the folder that ledgerDir names, or of the prefix in S3, with a folder for each chain. Exit codes: 0 it holds, 1 it
does not, 2 it cannot be read.`,
		Example: `  swell ledger fetch --out ledger && swell ledger verify --ledger ledger
  swell ledger verify --ledger ledger --head 15:15bb9d8e5d63fd56cf1ca4b3da450a426e1eb70b367dd92ebaee57f4840a5d86 --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && dir == "" {
				return usageError{fmt.Errorf("%s: %q is not expected here; the folder is given as --ledger %s", cmd.CommandPath(), args[0], args[0])}
			}
			return noArgs(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return usageError{fmt.Errorf("%s: --ledger is missing; give the folder that ledgerDir of swell-scaler's configuration names, or a copy of it", cmd.CommandPath())}
			}
			var known []ledger.Head
			for _, text := range heads {
				h, err := ledger.ParseHead(text)
				if err != nil {
					return usageError{fmt.Errorf("%s: --head: %w", cmd.CommandPath(), err)}
				}
				known = append(known, h)
			}
			chains, err := ledger.Verify(dir, known...)
			if err != nil {
				return usageError{fmt.Errorf("%s: %w", cmd.CommandPath(), err)}
			}
			return tellVerified(cmd, chains, asJSON, len(known) > 0)
		},
	}
	c.Flags().StringVar(&dir, "ledger", "", "the ledger's folder, or a copy of it")
	c.Flags().StringArrayVar(&heads, "head", nil, "a line that was kept elsewhere, as SEQ:HASH; may be repeated")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return c
}

// verified is what is printed of chains.
func verified(chains []ledger.Verified) verifyOutput {
	out := verifyOutput{OK: true, Chains: chains}
	for i := range chains {
		out.OK = out.OK && chains[i].Finding == nil
	}
	return out
}

// fault is the first that was found.
func (o verifyOutput) fault() error {
	for i := range o.Chains {
		if f := o.Chains[i].Finding; f != nil {
			return fmt.Errorf("the ledger is not as it was written: %s", f)
		}
	}
	return nil
}

func tellVerified(cmd *cobra.Command, chains []ledger.Verified, asJSON, anchored bool) error {
	out := verified(chains)
	if asJSON {
		if err := printJSON(cmd.OutOrStdout(), out); err != nil {
			return err
		}
		return out.fault()
	}
	for _, v := range chains {
		printVerified(cmd.OutOrStdout(), v)
	}
	if out.OK && !anchored {
		fmt.Fprintln(cmd.OutOrStdout(), "no --head was given: an end that was cut off, or a ledger written anew as a whole, would not show")
	}
	return out.fault()
}

func printVerified(w io.Writer, v ledger.Verified) {
	fmt.Fprintf(w, "%s: lines %d, files %d\n", v.Dir, v.Lines, v.Files)
	switch {
	case v.Finding != nil:
		fmt.Fprintf(w, "  %s\n", v.Finding)
	case v.Head.Seq == 0:
		fmt.Fprintln(w, "  it has no chain: a scaler of before there was one wrote it, and nothing can be said of it")
	default:
		fmt.Fprintf(w, "  chain %s holds from line %d to %d\n  head %s\n", v.Chain, v.First, v.Head.Seq, v.Head)
	}
	if v.Unchained > 0 && v.Head.Seq > 0 {
		fmt.Fprintf(w, "  no chain before line %d; the lines before it are as they were when it began\n", v.Unchained+1)
	}
	if v.First > 1 {
		fmt.Fprintf(w, "  lines 1 to %d were deleted to stay within the bounds, and the chain says so\n", v.First-1)
	}
	if v.Torn > 0 {
		fmt.Fprintf(w, "  %d lines were not written to their end, as by a crash\n", v.Torn)
	}
	if v.Lost > 0 {
		fmt.Fprintf(w, "  %d entries could not be written, as the chain says\n", v.Lost)
	}
	for _, h := range v.Anchored {
		fmt.Fprintf(w, "  has the head %s\n", h)
	}
	for _, h := range v.Unchecked {
		fmt.Fprintf(w, "  the head %s is of a line that was deleted\n", h)
	}
	for _, p := range v.Predecessors {
		fmt.Fprintf(w, "  follows line %d of chain %s\n", p.Seq, p.Chain)
	}
}
