// Command rights holds the rules of the chart against what its programs ask of the API server: none is missing, none is too much.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
)

const usage = `rights holds the rules of the chart against the requests that tests made.

usage: rights used|needed [--requests DIR] [--rules DIR] [--unused FILE]

used    fails on rules that no request used, and on requests that were denied
needed  takes each rule out in turn and asks the API server's authorizer: a request of a named test must be denied
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("rights", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage) }
	requestsDir := flags.String("requests", "out/rights", "folder of the requests")
	rulesDir := flags.String("rules", "charts/rendered", "folder of the chart's rules")
	unusedFile := flags.String("unused", "bench/rights/unused.yaml", "rights that no test uses, with the reasons")
	if len(args) == 0 || args[0] != "used" && args[0] != "needed" {
		flags.Usage()
		return 2
	}
	if err := flags.Parse(args[1:]); err != nil || flags.NArg() > 0 {
		return 2
	}
	grants, err := readGrants(*rulesDir)
	var requests []request
	if err == nil {
		requests, err = readRequests(*requestsDir)
	}
	var unused map[string]string
	if err == nil {
		unused, err = readExempt(*unusedFile)
	}
	if err == nil && args[0] == "used" {
		err = reportUsed(stdout, grants, requests, unused)
	} else if err == nil {
		err = reportNeeded(ctx, stdout, grants, requests, unused)
	}
	if err != nil {
		fmt.Fprintln(stderr, "rights:", err)
		return 1
	}
	return 0
}

// reportUsed prints each grant with the tests that used it, and names what is unused, denied, or listed as unused and is not.
func reportUsed(to io.Writer, grants []grant, requests []request, unused map[string]string) error {
	var wrong []string
	left := maps.Clone(unused)
	used := 0
	for _, g := range grants {
		tests := testsOf(g, requests)
		reason, listed := unused[g.String()]
		delete(left, g.String())
		switch {
		case g.fromKubernetes && len(tests) == 0 && slices.ContainsFunc(grants, func(o grant) bool {
			return o.role == g.role && o.account == g.account && len(testsOf(o, requests)) > 0
		}): // the binding is used; its role is Kubernetes' own
			fmt.Fprintf(to, "%s: unused, of %s, which the chart only binds\n", g, g.role)
		case len(tests) == 0 && listed:
			fmt.Fprintf(to, "%s: unused: %s\n", g, reason)
		case len(tests) == 0:
			wrong = append(wrong, fmt.Sprintf("no request used %s; take it out of charts/swell, or write a test that uses it", g))
		case listed:
			wrong = append(wrong, fmt.Sprintf("%s is used by %s; take it out of the list of those that are not", g, tests[0]))
		default:
			used++
			fmt.Fprintf(to, "%s: %s\n", g, strings.Join(tests, ", "))
		}
	}
	for name := range left {
		wrong = append(wrong, fmt.Sprintf("the list of unused rights has %q, which the chart does not grant; take it out of the list", name))
	}
	for _, r := range requests {
		if r.denied {
			wrong = append(wrong, fmt.Sprintf("%s was denied to %s in %s; grant it in charts/swell, or do not ask for it", r, r.account, r.test))
		}
	}
	fmt.Fprintf(to, "%d rights, %d used, %d listed as unused.\n", len(grants), used, len(unused))
	return failures(wrong)
}

// testsOf are the tests with a request that a grant allows.
func testsOf(g grant, requests []request) []string {
	var tests []string
	for _, r := range requests {
		if !r.denied && g.allows(r) {
			tests = append(tests, r.test)
		}
	}
	slices.Sort(tests)
	return slices.Compact(tests)
}

func failures(wrong []string) error {
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return errors.New(strings.Join(slices.Compact(wrong), "\nrights: "))
}
