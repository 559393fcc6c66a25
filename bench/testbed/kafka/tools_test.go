package kafka

import (
	"slices"
	"strings"
	"testing"
)

const described = `
Consumer group 'orders' has no active members.

GROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID     HOST            CLIENT-ID
orders          orders          0          4               10              6               -               -               -
orders          orders          1          50              10              -40             -               -               -

GROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID                                 HOST            CLIENT-ID
mail            mail            2          -               7               -               kgo-3f1f3a4e-2b9c-4d6a-8f07-0c6b6e5c7d11    /127.0.0.1      kgo
mail            -               -          -               -               -               kgo-9c1b3a4e-2b9c-4d6a-8f07-0c6b6e5c7d22    /127.0.0.1      kgo
`

func TestTablesOfTheTools(t *testing.T) {
	got, err := parseGroups(described, "CURRENT-OFFSET")
	if err != nil {
		t.Fatal(err)
	}
	want := []GroupLine{
		{Group: "orders", Topic: "orders", Partition: 0, Offset: 4, HasOffset: true, Lag: 6, HasLag: true},
		{Group: "orders", Topic: "orders", Partition: 1, Offset: 50, HasOffset: true, Lag: -40, HasLag: true},
		{Group: "mail", Topic: "mail", Partition: 2},
	}
	if !slices.Equal(got, want) {
		t.Errorf("read %+v, want %+v", got, want)
	}
	for text, word := range map[string]string{
		"Error: Executing consumer group command failed due to a timeout": "timeout",
		strings.Replace(described, " 4 ", " x ", 1):                       "CURRENT-OFFSET",
	} {
		if _, err := parseGroups(text, "CURRENT-OFFSET"); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("error is %v, want one that says %s", err, word)
		}
	}
}

func TestRealOptionsNameWhatIsWrong(t *testing.T) {
	whole := Security{Certificate: []byte("c"), Key: []byte("k"), ClientCA: []byte("a")}
	for word, o := range map[string]RealOptions{
		"HeapMiB":     {HeapMiB: -1},
		"Configs":     {Configs: map[string]string{"a b": "c"}},
		"Certificate": {Security: &Security{Key: []byte("k"), ClientCA: []byte("a")}},
		"reader":      {Security: &Security{Certificate: whole.Certificate, Key: whole.Key, ClientCA: whole.ClientCA, Users: map[string]string{"reader": `a"b`}}},
	} {
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("error is %v, want one that names %s", err, word)
		}
	}
	if err := (RealOptions{Security: &whole, Configs: map[string]string{"log.cleaner.backoff.ms": "100"}}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestConfigsGoBeforeWhatIsChosen(t *testing.T) {
	text := serverProperties("/data", 9000, RealOptions{Configs: map[string]string{"num.partitions": "7"}})
	if !strings.Contains(text, "\nnum.partitions=7\n") || strings.Contains(text, "num.partitions=1") || strings.Contains(text, "SASL://") {
		t.Errorf("properties are\n%s", text)
	}
	secure := serverProperties("/data", 9000, RealOptions{Security: &Security{Users: map[string]string{"reader": "secret"}}})
	for _, want := range []string{"SASL://127.0.0.1:9002", "MUTUAL://127.0.0.1:9003", `user_reader="secret"`, "authorizer.class.name="} {
		if !strings.Contains(secure, want) {
			t.Errorf("properties lack %s:\n%s", want, secure)
		}
	}
}
