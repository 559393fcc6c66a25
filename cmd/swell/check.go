package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"
)

// finding is one thing wrong in a file.
type finding struct {
	File  string `json:"file"`
	Line  int    `json:"line"`
	Field string `json:"field,omitempty"`
	What  string `json:"what"`
}

func (f finding) String() string {
	if f.Line == 0 { // the file as a whole
		return fmt.Sprintf("%s: %s", f.File, f.What)
	}
	if f.Field == "" {
		return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.What)
	}
	return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.Field, f.What)
}

type checkOutput struct {
	Objects int       `json:"objects"` // that were checked
	Skipped []string  `json:"skipped"` // file:line and why
	Errors  []finding `json:"errors"`
}

func checkCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check FILE...",
		Short: "Check YAML files of swell's kinds and configurations as the API server and the programs would",
		Long: `Check YAML files of swell's kinds and configurations as the API server and the programs would: each mistake with its file,
line and field. Other kinds in a file are passed over and named. No cluster is asked; the commands below ask Kafka and AWS.`,
		Example: "  swell check balloons.yaml pools.yaml scaler.yaml",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{fmt.Errorf("%s: no file was given; name at least one YAML file", cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runCheck(cmd, args, asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	c.AddCommand(checkKafkaCommand(), checkAWSCommand())
	return c
}

func runCheck(cmd *cobra.Command, files []string, asJSON bool) error {
	kinds, err := loadKinds()
	if err != nil {
		return err
	}
	out := checkOutput{Skipped: []string{}, Errors: []finding{}}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil { // the other files' findings are wanted all the same
			out.Errors = append(out.Errors, finding{File: file, What: fmt.Sprintf("%v; name a file that can be read", err)})
			continue
		}
		checkFile(file, text, kinds, &out)
	}
	slices.SortStableFunc(out.Errors, func(a, b finding) int {
		if a.File != b.File {
			return slices.Index(files, a.File) - slices.Index(files, b.File)
		}
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Field, b.Field), cmp.Compare(a.What, b.What))
	})
	w := cmd.OutOrStdout()
	if asJSON {
		if err := printJSON(w, out); err != nil {
			return err
		}
	} else {
		for _, f := range out.Errors {
			fmt.Fprintln(w, f)
		}
		for _, s := range out.Skipped {
			fmt.Fprintln(w, s)
		}
		fmt.Fprintf(w, "objects checked: %d, errors: %d\n", out.Objects, len(out.Errors))
	}
	// Bad input is bad usage: what is wrong is in the files that were named.
	if len(out.Errors) > 0 {
		return usageError{fmt.Errorf("%s: errors: %d; mend what is named above", cmd.CommandPath(), len(out.Errors))}
	}
	return nil
}
