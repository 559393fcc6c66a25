package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"sigs.k8s.io/yaml"
)

// pages are the texts of README.md and of docs, by path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(paths) < 4 {
		t.Fatal(err, paths)
	}
	runbooks, err := filepath.Glob("../../docs/runbooks/*.md")
	if err != nil || len(runbooks) == 0 {
		t.Fatal(err, runbooks)
	}
	paths = append(paths, runbooks...)
	all := map[string]string{}
	for _, path := range append(paths, "../../README.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[path] = string(text)
	}
	return all
}

var (
	link    = regexp.MustCompile(`\]\(([^)]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	slugged = regexp.MustCompile(`[^a-z0-9 -]`)
)

func TestTheLinksOfTheDocsLeadSomewhere(t *testing.T) {
	all := pages(t)
	for page, text := range all {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			path, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(m[1], "://") {
				continue
			}
			target := filepath.Join(filepath.Dir(page), path)
			if path == "" {
				target = page
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", page, err)
			}
			found := anchor == ""
			for _, h := range heading.FindAllStringSubmatch(all[target], -1) {
				found = found || strings.ReplaceAll(slugged.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-") == anchor
			}
			if !found {
				t.Errorf("%s: %s has no heading #%s", page, target, anchor)
			}
		}
	}
}

func TestTheExamplesOfTheMetricsPageCanBeUsed(t *testing.T) {
	kinds, hpas := 0, 0
	for _, rest := range strings.Split(pages(t)["../../docs/metrics.md"], "```yaml\n")[1:] {
		text, _, _ := strings.Cut(rest, "```")
		if strings.HasPrefix(text, "apiVersion: autoscaling/v2\n") {
			hpas++
			var hpa autoscalingv2.HorizontalPodAutoscaler
			if err := yaml.UnmarshalStrict([]byte(text), &hpa); err != nil || len(hpa.Spec.Metrics) == 0 {
				t.Errorf("%v in\n%s", err, text)
			}
			continue
		}
		if strings.HasPrefix(text, "apiVersion:") {
			kinds++
			if code, stdout, _ := swell(t, "check", write(t, "it.yaml", text)); code != 0 || !strings.Contains(stdout, "checked: 1, errors: 0") {
				t.Errorf("exit %d: %s", code, stdout)
			}
			continue
		}
		hpas++
		var spec autoscalingv2.HorizontalPodAutoscalerSpec
		if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil || len(spec.Metrics) == 0 || spec.Metrics[0].External == nil {
			t.Errorf("%v in\n%s", err, text)
		}
	}
	if kinds == 0 || hpas == 0 {
		t.Errorf("%d kinds and %d HPAs: the page's examples are not found", kinds, hpas)
	}
}

// TestTheCommandsOfTheDocsAreThere runs each swell command that a page shows, as far as its flags.
func TestTheCommandsOfTheDocsAreThere(t *testing.T) {
	command := regexp.MustCompile("(?m)^(?: +|\\$ )(?:bin/)?swell ([^#\n]*)")
	seen := 0
	for page, text := range pages(t) {
		for _, m := range command.FindAllStringSubmatch(text, -1) {
			seen++
			if code, _, stderr := swell(t, append(strings.Fields(m[1]), "--help")...); code != 0 {
				t.Errorf("%s: swell %s: %s", page, m[1], stderr)
			}
		}
	}
	if seen < 4 {
		t.Errorf("%d commands are found", seen)
	}
}

// TestTheForecastingPageShowsWhatIsPrinted runs the commands of the page on the loads that the project keeps.
func TestTheForecastingPageShowsWhatIsPrinted(t *testing.T) {
	shown := regexp.MustCompile("(?s)```\n\\$ swell ([^\n]*)\n(.*?)```").FindAllStringSubmatch(pages(t)["../../docs/forecasting.md"], -1)
	if len(shown) != 2 {
		t.Fatalf("%d commands", len(shown))
	}
	t.Chdir("../..")
	for _, m := range shown {
		if code, stdout, stderr := swell(t, strings.Fields(m[1])...); code != 0 || stdout != m[2] {
			t.Errorf("swell %s: exit %d: %s\n%s", m[1], code, stderr, stdout)
		}
	}
}
