package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"swell/scaler/ledger"
)

// fetchOutput is a copy that was made.
type fetchOutput struct {
	Dir     string `json:"dir"`
	Files   int    `json:"files"`
	Replica string `json:"replica"`
	verifyOutput
}

func ledgerFetchCommand() *cobra.Command {
	var f scalerFlags
	var dir string
	c := &cobra.Command{
		Use:   "fetch --out DIR",
		Short: "Copy the ledger of the scaler that leads, and verify the copy",
		Long: `Copy the ledger of the scaler that leads into a folder, and verify the copy. The scaler goes on writing meanwhile.

It reaches the leader's pod as "swell page" does and needs the same rights: get on leases and create on pods/portforward in the scaler's
namespace, and get on capacitypools/page in the cluster. Another replica's ledger is in its own folder, or in S3.`,
		Example: "  swell ledger fetch --out ledger\n  swell ledger fetch --out ledger --context green --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return usageError{fmt.Errorf("%s: --out is missing; give a folder for the copy", cmd.CommandPath())}
			}
			return f.fetch(cmd, dir)
		},
	}
	f.register(c)
	c.Flags().StringVar(&dir, "out", "", "folder for the copy; it is made if need be, and must hold no ledger yet")
	return c
}

func (f scalerFlags) fetch(cmd *cobra.Command, dir string) error {
	target, through, err := f.reach(cmd)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, target.JoinPath("api/ledger.tar").String(), nil)
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	answer, err := through.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("%s: ask the scaler for its ledger: %w; %s", cmd.CommandPath(), err, mendOfReach(err, "read the folder of its ledgerDir there, or give --url"))
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 4096)) // the status says enough
		return fmt.Errorf("%s: the scaler answers %s: %s", cmd.CommandPath(), answer.Status, strings.TrimSpace(string(text)))
	}
	out := fetchOutput{Dir: dir, Replica: answer.Header.Get("Swell-Replica")}
	if out.Files, err = ledger.Extract(answer.Body, dir); err != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	chains, err := ledger.Verify(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	if f.asJSON {
		out.verifyOutput = verified(chains)
		if err := printJSON(cmd.OutOrStdout(), out); err != nil {
			return err
		}
		return out.fault()
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d files of %s\n", out.Files, out.Replica)
	return tellVerified(cmd, chains, false, true)
}
