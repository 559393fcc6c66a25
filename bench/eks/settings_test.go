package eks

import (
	"maps"
	"strings"
	"testing"
)

var good = map[string]string{
	"SWELL_EKS_ACCOUNT": "123456789012", "SWELL_EKS_REGION": "ap-northeast-1", "SWELL_EKS_CONTEXT": "test", "SWELL_EKS_TAG": "swell/pool=eks-suite",
	"SWELL_EKS_HOURLY": "0.1", "SWELL_EKS_MAX_COST": "1",
}

func TestNothingIsBoughtWithoutAccountAndLimit(t *testing.T) {
	s, err := Read(func(name string) string { return good[name] })
	if err != nil || s.MaxNodes != 2 || s.TagKey != "swell/pool" || s.TagValue != "eks-suite" {
		t.Fatal(s, err)
	}
	if s.Worst() != 0.2 {
		t.Errorf("two nodes of 0.1 an hour cost %g at most: a begun hour is one", s.Worst())
	}
	for name, values := range map[string][]string{
		"SWELL_EKS_ACCOUNT":   {"", "1234", "12345678901x"},
		"SWELL_EKS_REGION":    {""},
		"SWELL_EKS_CONTEXT":   {""},
		"SWELL_EKS_TAG":       {"", "swell/pool", "=x", "swell/pool="},
		"SWELL_EKS_HOURLY":    {"", "0", "-1", "NaN", "Inf"},
		"SWELL_EKS_MAX_COST":  {"", "0", "0.19"},
		"SWELL_EKS_MAX_NODES": {"1", "11", "x"},
	} {
		for _, value := range values {
			env := maps.Clone(good)
			env[name] = value
			if _, err := Read(func(name string) string { return env[name] }); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s=%q: %v", name, value, err)
			}
		}
	}
	if _, err := Read(func(string) string { return "" }); err == nil || strings.Count(err.Error(), "SWELL_EKS_") != 6 {
		t.Errorf("an empty environment: %v", err)
	}
}
