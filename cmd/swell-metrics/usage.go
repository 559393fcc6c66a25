package main

import (
	"fmt"
	"io"

	"github.com/spf13/pflag"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/term"
	basecmd "sigs.k8s.io/custom-metrics-apiserver/pkg/cmd"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/cmd/options"
)

const ownSection = "swell-metrics"

// printUsage prints the flags of swell-metrics itself first: there are a dozen times as many of the API server that it is built on.
func printUsage(to io.Writer, flags *pflag.FlagSet) {
	cols, _, _ := term.TerminalSize(to)
	fmt.Fprint(to, "swell-metrics serves the backlog of Kafka consumer groups as external.metrics.k8s.io and custom.metrics.k8s.io.\n\n"+
		"Usage:\n  swell-metrics --config FILE [flags]\n")
	all := sections(flags)
	own := cliflag.NamedFlagSets{Order: all.Order[:1], FlagSets: all.FlagSets}
	cliflag.PrintSections(to, own, cols)
	fmt.Fprint(to, "\nAll that follow are those of every aggregated API server. A cluster needs --secure-port and a certificate of them.\n")
	all.Order = all.Order[1:]
	cliflag.PrintSections(to, all, cols)
}

// sections are the flags by what they are about, swell-metrics' own first: those that the library does not have.
func sections(flags *pflag.FlagSet) cliflag.NamedFlagSets {
	var all cliflag.NamedFlagSets
	own, library := all.FlagSet(ownSection), map[string]bool{}
	take := func(section string, declare func(*pflag.FlagSet)) {
		declared := pflag.NewFlagSet("", pflag.ContinueOnError)
		declare(declared)
		declared.VisitAll(func(f *pflag.Flag) {
			if !library[f.Name] {
				library[f.Name] = true
				all.FlagSet(section).AddFlag(flags.Lookup(f.Name))
			}
		})
	}
	o := options.NewCustomMetricsAdapterServerOptions()
	take("secure port", o.SecureServing.AddFlags)
	take("authentication", o.Authentication.AddFlags)
	take("authorization", o.Authorization.AddFlags)
	take("audit log", o.Audit.AddFlags)
	take("API server", o.Features.AddFlags)
	take("Kubernetes client", func(fs *pflag.FlagSet) { (&basecmd.AdapterBase{FlagSet: fs}).InstallFlags() })
	flags.VisitAll(func(f *pflag.Flag) {
		if !library[f.Name] {
			own.AddFlag(f)
		}
	})
	return all
}
