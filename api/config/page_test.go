package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestThePageOfTheScaler(t *testing.T) {
	for page, want := range map[string]string{
		``:                                      "",
		`{bind: ":8443"}`:                       "",
		`{bind: "127.0.0.1:8443"}`:              "",
		`{bind: "[::1]:8443"}`:                  "",
		`{bind: ":1", certFile: a, keyFile: b}`: "",
		`{bind: "8443"}`:                        `page.bind is "8443"`,
		`{bind: ":http"}`:                       `page.bind is ":http"`,
		`{bind: ":0"}`:                          `page.bind is ":0"`,
		`{bind: ":70000"}`:                      `page.bind is ":70000"`,
		`{bind: "localhost:8443"}`:              "give an IP address",
		`{bind: ":8443", certFile: a}`:          "page.certFile and page.keyFile belong together",
		`{certFile: a, keyFile: b}`:             "page.bind is not",
		`{bund: ":8443"}`:                       "bund",
	} {
		text := "aws: {region: r}\nledgerDir: /ledger\n"
		if page != "" {
			text += "page: " + page + "\n"
		}
		path := filepath.Join(t.TempDir(), "scaler.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadScaler(path)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path)) {
			t.Errorf("%s: %v, want %q", page, err, want)
		}
	}
}
