package config

import (
	"strings"
	"testing"
)

func TestNamespaceRules(t *testing.T) {
	rules := NamespaceRules{
		{Namespaces: []string{"shop"}, Groups: []string{"orders", "/pay(ments)?-.*/"}},
		{Namespaces: []string{"team-?", "infra"}, Clusters: []string{"main", "logs"}, Groups: []string{"/.*/"}},
		{Namespaces: []string{"team-a"}, Clusters: []string{"spare"}, Groups: []string{"one", "/", "//", "/x", "/a|b/"}},
	}
	for _, tc := range []struct {
		namespace, cluster, group string
		want                      bool
	}{
		{"shop", "main", "orders", true},
		{"shop", "any", "orders", true},
		{"shop", "main", "orders-2", false},
		{"shop", "main", "my-orders", false},
		{"shop", "main", "pay-eu", true},
		{"shop", "main", "payments-", true},
		{"shop", "main", "xpay-eu", false},
		{"shop", "main", "pay-eu\n", false},
		{"shop", "main", "/pay(ments)?-.*/", false},
		{"shop-2", "main", "orders", false},
		{"team-a", "main", "whatever", true},
		{"team-a", "main", "", true},
		{"team-ab", "main", "whatever", false},
		{"team-b", "logs", "x", true},
		{"team-b", "spare", "x", false},
		{"infra", "main", "x", true},
		{"team-a", "spare", "one", true},
		{"team-a", "spare", "two", false},
		{"team-a", "spare", "/", true},
		{"team-a", "spare", "//", true},
		{"team-a", "spare", "/x", true},
		{"team-a", "spare", "a", true},
		{"team-a", "spare", "ab", false},
		{"", "main", "orders", false},
		{"other", "main", "orders", false},
	} {
		if got := rules.Allow(tc.namespace, tc.cluster, tc.group, nil); got != tc.want {
			t.Errorf("%s may ask about %s of %s: %t", tc.namespace, tc.group, tc.cluster, got)
		}
	}
	if !(NamespaceRules{}).Allow("any", "any", "any", nil) || !NamespaceRules(nil).Allow("any", "any", "any", nil) {
		t.Error("without rules everyone may ask about all")
	}
}

func TestNamespaceRulesOfTopics(t *testing.T) {
	rules := NamespaceRules{
		{Namespaces: []string{"shop"}, Groups: []string{"orders"}, Topics: []string{"orders", "/mail-.*/", "/a|b/"}},
		{Namespaces: []string{"shop"}, Groups: []string{"/or.*/"}, Topics: []string{"returns"}},
		{Namespaces: []string{"shop"}, Groups: []string{"free"}},
	}
	for _, tc := range []struct {
		group  string
		topics []string
		want   bool
	}{
		{"orders", nil, false},
		{"orders", []string{"orders"}, true},
		{"orders", []string{"orders", "mail-eu"}, true},
		{"orders", []string{"orders", "salaries"}, false},
		{"orders", []string{"mail-"}, true},
		{"orders", []string{"xmail-eu"}, false},
		{"orders", []string{"/mail-.*/"}, true},
		{"orders", []string{"/mail-.*|salaries/"}, false},
		{"orders", []string{"/mail-eu/"}, false},
		{"orders", []string{"/(/"}, false},
		{"orders", []string{"orders", "returns"}, true},
		{"orbit", []string{"orders"}, false},
		{"free", nil, true},
		{"free", []string{"salaries", "/.*/"}, true},
	} {
		if got := rules.Allow("shop", "main", tc.group, tc.topics); got != tc.want {
			t.Errorf("topics %q of group %s: allowed %t", tc.topics, tc.group, got)
		}
	}
	asked := []string{"orders", "returns"}
	if rules.Allow("shop", "main", "orders", asked); asked[0] != "orders" || asked[1] != "returns" {
		t.Errorf("the question was changed to %q", asked)
	}
}

func TestRulesThatCannotBeUsed(t *testing.T) {
	for name, tc := range map[string]struct{ rule, field, mend string }{
		"no namespace":     {"{groups: [a]}", "namespaceRules[0] lacks namespaces or groups", "at least one of each"},
		"no group":         {"{namespaces: [a]}", "namespaceRules[0] lacks namespaces or groups", "at least one of each"},
		"empty namespace":  {"{namespaces: [''], groups: [a]}", "namespaceRules[0].namespaces[0]", "team-*"},
		"pattern":          {"{namespaces: [a, 'b[c'], groups: [a]}", `namespaceRules[0].namespaces[1] is "b[c"`, "team-*"},
		"cluster":          {"{namespaces: [a], groups: [a], clusters: [main, spare]}", `namespaceRules[0].clusters[1] is "spare"`, "correct the name"},
		"empty group":      {"{namespaces: [a], groups: ['']}", "namespaceRules[0].groups[0]", "between slashes"},
		"expression":       {"{namespaces: [a], groups: [b, '/(/']}", `namespaceRules[0].groups[1] is "/(/"`, "RE2's syntax"},
		"looks behind":     {"{namespaces: [a], groups: ['/(?<=a)b/']}", "namespaceRules[0].groups[0]", "RE2's syntax"},
		"out of brackets":  {"{namespaces: [a], groups: ['/a)|(?:.*/']}", "namespaceRules[0].groups[0]", "RE2's syntax"},
		"pattern, group":   {"{namespaces: [a], groups: ['shop-*']}", `namespaceRules[0].groups[0] is "shop-*"`, "such as /shop-.*/"},
		"pattern, topic":   {"{namespaces: [a], groups: [a], topics: ['mail.*']}", `namespaceRules[0].topics[0] is "mail.*"`, "between slashes"},
		"words":            {"{namespaces: [a], groups: ['a b']}", `namespaceRules[0].groups[0] is "a b"`, "between slashes"},
		"expression, name": {"{namespaces: ['/team-.*/'], groups: [a]}", `namespaceRules[0].namespaces[0] is "/team-.*/"`, "team-*"},
		"capitals":         {"{namespaces: [Shop], groups: [a]}", `namespaceRules[0].namespaces[0] is "Shop"`, "team-*"},
		"empty topic":      {"{namespaces: [a], groups: [a], topics: ['']}", "namespaceRules[0].topics[0]", "between slashes"},
		"topic expression": {"{namespaces: [a], groups: [a], topics: [b, '/(/']}", `namespaceRules[0].topics[1] is "/(/"`, "RE2's syntax"},
		"pass on http":     {"{namespaces: [a], groups: [a]}\npassOn: {external: {url: 'http://a'}}", "passOn.external.url", "https://service"},
		"pass on query":    {"{namespaces: [a], groups: [a]}\npassOn: {custom: {url: 'https://a?b=c'}}", "passOn.custom.url", "without user, query"},
		"pass on trust":    {"{namespaces: [a], groups: [a]}\npassOn: {custom: {url: 'https://a', caFile: c, insecureSkipVerify: true}}", "passOn.custom has caFile", "give one"},
		"pass on blindly":  {"{namespaces: [a], groups: [a]}\npassOn: {external: {url: 'https://a', insecureSkipVerify: true}}", "passOn.external has insecureSkipVerify and no tokenFile", "give caFile, or a tokenFile"},
		"pass on no host":  {"{namespaces: [a], groups: [a]}\npassOn: {custom: {url: 'https://:443'}}", "passOn.custom.url", "https://service"},
		"pass on bad port": {"{namespaces: [a], groups: [a]}\npassOn: {custom: {url: 'https://a:99999'}}", "passOn.custom.url", "https://service"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadText(t, oneCluster("proveEmpty: true")+"\nnamespaceRules:\n- "+tc.rule)
			if err == nil || !strings.Contains(err.Error(), tc.field) || !strings.Contains(err.Error(), tc.mend) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v: want one problem with %q and %q", err, tc.field, tc.mend)
			}
		})
	}
}

func BenchmarkAllow(b *testing.B) {
	rules := NamespaceRules{{Namespaces: []string{"a"}, Groups: []string{"b"}}, {Namespaces: []string{"team-*"}, Groups: []string{"/pay(ments)?-.*/"}}}
	for b.Loop() {
		rules.Allow("team-a", "main", "payments-eu", nil)
	}
}
