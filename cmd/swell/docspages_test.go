package main

import (
	"regexp"
	"strings"
	"testing"
)

// The kinds and configurations that a reader copies out of the pages on beginning and migrating pass swell check.
func TestWhatThePagesGiveToCopyIsValid(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	all, checked := pages(t), 0
	for _, page := range []string{"first-hour", "migrate-cluster-autoscaler", "migrate-karpenter", "migrate-keda"} {
		for _, m := range block.FindAllStringSubmatch(all["../../docs/"+page+".md"], -1) {
			text := m[1]
			switch {
			case strings.Contains(text, "capacity.swell/v1alpha1\nkind:"), strings.HasPrefix(text, "aws:"), strings.HasPrefix(text, "apis:"):
			default:
				continue // another's kind, or values of the chart
			}
			checked++
			if code, stdout, stderr := swell(t, "check", write(t, "it.yaml", text)); code != 0 {
				t.Errorf("%s: exit %d: %s%s in\n%s", page, code, stdout, stderr, text)
			}
		}
	}
	if checked < 6 {
		t.Errorf("%d blocks are checked: the pages' examples are not found", checked)
	}
}
