package ledger

import "strings"

// Rehash makes the hash of a line anew, as who tampers with it would.
func Rehash(text string) string {
	line := strings.TrimSuffix(text, "\n")
	if len(line) < hashPart {
		return text
	}
	body := line[:len(line)-hashPart]
	return body + hashTag + sum([]byte(body)) + "\"}\n"
}
