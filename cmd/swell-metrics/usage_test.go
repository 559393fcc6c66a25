package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"

	"swell/metrics/server"
)

// ownFlags are the names of the flags that are swell-metrics' own.
func ownFlags() []string {
	var names []string
	sections(server.New(slog.New(slog.DiscardHandler)).Flags()).FlagSets[ownSection].VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}

func TestHelpBeginsWithItsOwnFlags(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"--help"}, &stdout, newLog(&stderr)); code != 0 || stderr.Len() > 0 {
		t.Fatalf("exit %d, %s", code, stderr.String())
	}
	text := stdout.String()
	own, library, found := strings.Cut(text, "Secure port flags:")
	if !found {
		t.Fatal(text)
	}
	for _, name := range []string{"config", "drain", "kubeconfig", "reload-every", "version"} {
		if !strings.Contains(own, "--"+name+" ") || strings.Contains(library, "      --"+name+" ") {
			t.Errorf("--%s is not among the first", name)
		}
	}
	server.New(slog.New(slog.DiscardHandler)).Flags().VisitAll(func(f *pflag.Flag) {
		if n := len(regexp.MustCompile(`(?m)^ +--`+f.Name+`( |$)`).FindAllString(text, -1)); n != 1 && !f.Hidden && f.Deprecated == "" {
			t.Errorf("--%s is there %d times", f.Name, n)
		}
	})
}

func TestBadUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"swell-metrics --help lists them": {"--confg", "x"},
		"given with --config":             {"metrics.yaml"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, &stdout, newLog(&stderr)); code != 2 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: exit %d, %s", strings.Join(args, " "), code, stderr.String())
		}
	}
}

func TestLoggedDurationsSayTheirUnit(t *testing.T) {
	var out bytes.Buffer
	log := newLog(&out)
	log.Info("own", "after", 5*time.Second, slog.Group("poll", "took", 1500*time.Millisecond))
	logr.FromSlogHandler(log.Handler()).Info("a library's", "after", 5*time.Second)
	for line := range strings.Lines(out.String()) {
		var got struct {
			After string
			Poll  struct{ Took string }
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil || got.After != "5s" || got.Poll.Took != "" && got.Poll.Took != "1.5s" {
			t.Errorf("%v in %s", err, line)
		}
	}
}

func TestThePageOfTheInstallationExplainsEachFlag(t *testing.T) {
	page, err := os.ReadFile("../../docs/install-metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, m := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)").FindAllStringSubmatch(string(page), -1) {
		rows = append(rows, m[1])
	}
	for _, name := range ownFlags() {
		if !slices.Contains(rows, name) {
			t.Errorf("--%s has no row", name)
		}
	}
	flags := server.New(slog.New(slog.DiscardHandler)).Flags()
	for _, name := range rows {
		if flags.Lookup(name) == nil {
			t.Errorf("there is no --%s", name)
		}
	}
}
