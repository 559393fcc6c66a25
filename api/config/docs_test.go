package config

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// blocks are the fenced blocks of a language in a page.
func blocks(t *testing.T, path, language string) []string {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, rest := range strings.Split(string(page), "```"+language+"\n")[1:] {
		text, _, ok := strings.Cut(rest, "```")
		if !ok {
			t.Fatalf("%s: a block of %s does not end", path, language)
		}
		found = append(found, text)
	}
	return found
}

func TestTheExamplesOfKafkaSecurityCanBeUsed(t *testing.T) {
	const page = "../../docs/kafka-security.md"
	shown := map[SASLMechanism]bool{}
	for _, text := range blocks(t, page, "yaml") {
		m, err := loadText(t, text)
		if err != nil {
			t.Errorf("%v in\n%s", err, text)
			continue
		}
		for _, k := range m.Clusters {
			if k.SASL != nil {
				shown[k.SASL.Mechanism] = true
			}
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range saslMechanisms {
		if !shown[m] && m != SASLScramSHA256 || !strings.Contains(string(text), string(m)) {
			t.Errorf("%s has no example of %s", page, m)
		}
	}
	for _, text := range blocks(t, page, "json") {
		if !json.Valid([]byte(text)) {
			t.Errorf("not JSON:\n%s", text)
		}
	}
}

func TestTheExamplesOfTheHistoryPageCanBeUsed(t *testing.T) {
	shown := 0
	for _, text := range blocks(t, "../../docs/history.md", "yaml") {
		if !strings.HasPrefix(text, "history:") {
			continue // kinds are checked by swell check
		}
		shown++
		c, err := LoadScaler(writeFile(t, least+text))
		if err != nil || c.History.Prometheus == nil && c.History.Datadog == nil {
			t.Errorf("%v in\n%s", err, text)
		}
	}
	if shown < 4 {
		t.Errorf("%d parts of a configuration are shown", shown)
	}
}

func TestTheExampleOfTheLedgerPageCanBeUsed(t *testing.T) {
	found := blocks(t, "../../docs/ledger.md", "yaml")
	if len(found) != 1 {
		t.Fatalf("%d examples: want one", len(found))
	}
	c, err := LoadScaler(writeFile(t, found[0]))
	if err != nil {
		t.Fatal(err)
	}
	if c.LedgerDir != "/var/lib/swell/ledger" || c.Ledger.S3.Region != "ap-northeast-1" || !c.Ledger.Stdout {
		t.Errorf("%+v", c.Ledger)
	}
}
