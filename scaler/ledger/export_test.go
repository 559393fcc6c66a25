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

// Stall makes the writer wait, as for a disk that does not answer, until release is called.
func Stall(l *Ledger) (release func()) {
	begun, held := make(chan struct{}), make(chan struct{})
	_ = l.wait(request{do: func() error {
		close(begun)
		<-held
		return nil
	}})
	<-begun
	return func() { close(held) }
}
