package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Schema is the version of the lines that are written. Lines without one are from before there was a chain.
const Schema = 1

// origin is the hash that a chain's first line names.
var origin = strings.Repeat("0", hashLen)

const (
	hashLen = 2 * sha256.Size
	hashTag = `,"hash":"`
	prevTag = `,"prev":"`
	seqTag  = `,"seq":`
	schTag  = `,"v":`
	// hashPart is how long the end of a line is that its hash does not cover, the closing brace included.
	hashPart = len(hashTag) + hashLen + len(`"}`)
	// linkLen is the most that a link takes of a line: three tags, two numbers and two hashes.
	linkLen = 300
)

// Link is the end of every line, by which it hangs on the line before it:
//
//	…,"v":1,"seq":12,"prev":"9f86…","hash":"60303a…"}
//
// seq counts the lines of a chain from 1, prev is the hash of the line before, 64 zeros before the first. hash is the SHA-256, in
// hexadecimal, of the line's own bytes as they are written, from its opening brace to the quotation mark that closes prev: all but
// the last 75 bytes and the newline. No field is reordered, respelled or left out for it, so that nothing but sha256sum is needed to
// make it again:
//
//	printf %s "${line%,\"hash\":*}" | sha256sum
type Link struct {
	Schema     int
	Seq        int64
	Prev, Hash string
}

// Head is the last line of a chain: whoever knows it can tell whether the lines up to it are still those that were written.
type Head struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

func (h Head) String() string { return fmt.Sprintf("%d:%s", h.Seq, h.Hash) }

// ParseHead reads SEQ:HASH.
func ParseHead(text string) (Head, error) {
	number, hash, ok := strings.Cut(text, ":")
	seq, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || seq < 1 || !isHash(hash) {
		return Head{}, fmt.Errorf("reading the head %.100q: give SEQ:HASH, as the scaler logs it and writes it to its ConfigMap: a number above 0 and 64 hexadecimal digits", text)
	}
	return Head{seq, hash}, nil
}

func isHash(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == hashLen && strings.ToLower(s) == s
}

// Book is what a ledger says of itself, by Action: chain where one begins or follows another's, dropped, torn and gap. Read and Walk
// give gaps only, since the others are of the files and not of what was done.
type Book struct {
	// Chain is the id of the chain, at its beginning.
	Chain string `json:"chain,omitempty"`
	// Predecessor is the chain that another scaler wrote before this one, in a folder of its own.
	Predecessor *Anchor `json:"predecessor,omitempty"`
	// Before is of the file before the one that begins with this line.
	Before *Span `json:"before,omitempty"`
	// Unchained are the lines before a chain that began in a file that was there already.
	Unchained *Bytes `json:"unchained,omitempty"`
	// Dropped is the last line of what was deleted to stay within the bounds.
	Dropped *Head `json:"dropped,omitempty"`
	// Torn is a line before this one that a crash left unfinished.
	Torn *Bytes `json:"torn,omitempty"`
	// Lost are entries that could not be written.
	Lost *Lost `json:"lost,omitempty"`
}

// Bytes of a file that no link covers.
type Bytes struct {
	Lines  int    `json:"lines,omitempty"`
	Size   int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Lost are entries that could not be written between two times; machine time.
type Lost struct {
	Entries int       `json:"entries"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	// ModelFrom is the earliest model time of a lost entry; From and To are machine time.
	ModelFrom time.Time `json:"modelFrom,omitzero"`
	// Actions are how many of each there were.
	Actions map[string]int `json:"actions,omitempty"`
}

// AnchorName is the ConfigMap that keeps it, in the namespace of the scaler's Lease: its keys head, chain and writer.
const AnchorName = "swell-scaler-ledger"

// Anchor is a chain's head as it was kept outside of the ledger's folder.
type Anchor struct {
	Head
	Chain  string `json:"chain"`
	Writer string `json:"writer,omitempty"`
}

// The ledger's own actions.
const (
	chainAction   = "chain"
	droppedAction = "dropped"
	tornAction    = "torn"
	// GapAction is the entry in place of those that could not be written.
	GapAction = "gap"
)

func ofTheFiles(action string) bool {
	return action == chainAction || action == droppedAction || action == tornAction
}

// linked is a line, newline included, that hangs on prev.
func linked(body []byte, seq int64, prev string) (line []byte, hash string) {
	line = append(line, bytes.TrimSuffix(body, []byte("}"))...)
	line = append(line, schTag...)
	line = strconv.AppendInt(line, Schema, 10)
	line = append(line, seqTag...)
	line = strconv.AppendInt(line, seq, 10)
	line = append(line, prevTag...)
	line = append(line, prev...)
	line = append(line, '"')
	hash = sum(line)
	line = append(line, hashTag...)
	line = append(line, hash...)
	return append(line, "\"}\n"...), hash
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// linkOf is the link of a line without its newline; false is that it has none.
func linkOf(line []byte) (Link, bool) {
	rest, hash, ok := cutHash(line, hashTag, `"}`)
	if !ok {
		return Link{}, false
	}
	rest, prev, ok := cutHash(rest, prevTag, `"`)
	if !ok {
		return Link{}, false
	}
	at := bytes.LastIndex(rest[max(0, len(rest)-linkLen):], []byte(schTag))
	if at < 0 {
		return Link{}, false
	}
	numbers := string(rest[max(0, len(rest)-linkLen)+at+len(schTag):])
	schema, seq, ok := strings.Cut(numbers, seqTag)
	v, err := strconv.Atoi(schema)
	n, err2 := strconv.ParseInt(seq, 10, 64)
	return Link{Schema: v, Seq: n, Prev: prev, Hash: hash}, ok && err == nil && err2 == nil && n > 0
}

func cutHash(line []byte, tag, end string) (rest []byte, hash string, ok bool) {
	at := len(line) - len(tag) - hashLen - len(end)
	if at < 0 || !bytes.HasPrefix(line[at:], []byte(tag)) || !bytes.HasSuffix(line, []byte(end)) {
		return nil, "", false
	}
	hash = string(line[at+len(tag) : at+len(tag)+hashLen])
	return line[:at], hash, isHash(hash)
}

// intact says that a line is as it was when its hash was made.
func (l Link) intact(line []byte) bool { return sum(line[:len(line)-hashPart]) == l.Hash }
