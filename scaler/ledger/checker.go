package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"slices"
)

// checker goes along a chain, line by line, until one is not as it was written.
type checker struct {
	Verified
	heads []Head
	where map[int64]line // of the heads' lines
	at    line           // the newest line, and before it the newest that holds
	holds line
	begun bool
	// before is of the lines before the chain.
	before hash.Hash
	torn   line // the newest that ends without a newline
	// suspect does not hang on the line before it; what follows tells why.
	suspect *suspect
	// dropped says what may be missing before the first line.
	dropped []Head
	began   line
	prev    string // of the first line
}

// suspect is a line that does not hang on the one before it.
type suspect struct {
	line
	// link of the line, where it has one, and whether its hash is that of its bytes.
	link           Link
	linked, intact bool
	sum            string
	more           int // lines after it that are likewise
}

// line takes the next one.
func (c *checker) line(x line) error {
	c.at = line{path: x.path, number: x.number}
	if c.TornEnd {
		c.find(Inserted, c.torn, c.Head.Seq+1, "it ends without a newline, and a file follows that begins as if it were not there")
		return nil
	}
	link, linked := linkOf(x.text)
	intact := linked && link.intact(x.text)
	if linked && link.Schema > Schema {
		return fmt.Errorf("line %d: it is of schema %d, and this swell reads up to %d; use the swell that goes with the scaler", x.number, link.Schema, Schema)
	}
	switch {
	case c.suspect != nil:
		return c.after(x, link, intact)
	case !c.begun && !intact:
		c.unchained(x)
		return nil
	case !c.begun:
		return c.begin(x, link)
	case intact && link.Seq == c.Head.Seq+1 && link.Prev == c.Head.Hash:
		return c.hold(x, link)
	case !x.whole && !intact:
		c.Torn, c.TornEnd, c.torn = c.Torn+1, true, c.at
		return nil
	}
	c.suspect = &suspect{line: c.at, link: link, linked: linked, intact: intact, sum: sum(x.text)}
	if intact && link.Seq <= c.Head.Seq+1 {
		c.judge(Link{}, false)
	}
	return nil
}

// unchained is a line before the chain.
func (c *checker) unchained(x line) {
	if c.before == nil {
		c.before = sha256.New()
	}
	c.Unchained++
	c.before.Write(x.text)
	if x.whole {
		c.before.Write([]byte("\n"))
	} else {
		if c.torn, c.TornEnd = c.at, !json.Valid(x.text); c.TornEnd {
			c.Torn++
		}
	}
}

// begin takes the first line of the chain.
func (c *checker) begin(x line, link Link) error {
	c.begun, c.First, c.prev, c.began = true, link.Seq, link.Prev, c.at
	if err := c.hold(x, link); err != nil {
		return err
	}
	if c.Unchained == 0 {
		return nil
	}
	var e Entry
	if err := json.Unmarshal(x.text, &e); err != nil {
		return fmt.Errorf("line %d: %w", x.number, err)
	}
	first := line{path: x.path, number: 1}
	switch {
	case link.Seq > 1:
		c.find(Changed, first, link.Seq-int64(c.Unchained), "its hash is not that of its bytes, or it has none")
	case e.Book == nil || e.Book.Unchained == nil:
		c.find(Inserted, first, 1, fmt.Sprintf("the chain began with line %d of the file as its first, and knows of no line before it", x.number))
	case e.Book.Unchained.SHA256 != hex.EncodeToString(c.before.Sum(nil)):
		c.find(Changed, first, 0, fmt.Sprintf("the lines up to %d, of before there was a chain, are not those that it began after", x.number-1))
	}
	return nil
}

// hold takes a line that hangs on the one before it.
func (c *checker) hold(x line, link Link) error {
	c.Head, c.holds = Head{link.Seq, link.Hash}, c.at
	for _, h := range c.heads {
		if h.Seq != link.Seq {
			continue
		}
		if c.where[h.Seq] = c.at; h.Hash == link.Hash {
			c.Anchored = append(c.Anchored, h)
		}
	}
	if !bytes.Contains(x.text, []byte(`"book":{`)) {
		return nil
	}
	var e Entry
	if err := json.Unmarshal(x.text, &e); err != nil {
		return fmt.Errorf("line %d: %w", x.number, err)
	}
	if e.Book != nil {
		c.book(e)
	}
	return nil
}

// book takes what the ledger says of itself.
func (c *checker) book(e Entry) {
	b := e.Book
	if b.Chain != "" {
		c.Chain = b.Chain
	}
	if b.Lost != nil {
		c.Lost += b.Lost.Entries
	}
	if b.Dropped != nil {
		c.dropped = append(c.dropped, *b.Dropped)
	}
	switch p := b.Predecessor; {
	case p == nil:
	case p.Chain == c.Chain && p.Seq < c.Head.Seq:
		c.find(Rewritten, c.at, c.Head.Seq, fmt.Sprintf("when the scaler started here, line %d was known elsewhere with another hash than it has: the chain was written anew up to there at least", p.Seq))
	case p.Chain == c.Chain:
		c.find(CutOff, c.at, c.Head.Seq, fmt.Sprintf("when the scaler started here, line %d was known elsewhere to have been written, and the file ended at line %d", p.Seq, c.Head.Seq-1))
	default:
		c.Predecessors = append(c.Predecessors, *p)
	}
}

// after takes a line that follows a suspect.
func (c *checker) after(x line, link Link, intact bool) error {
	s := c.suspect
	fits := intact && link.Seq == c.Head.Seq+1 && link.Prev == c.Head.Hash
	if !s.intact && fits && s.more == 0 && tore(x.text, s.sum) {
		c.suspect, c.Torn = nil, c.Torn+1
		return c.hold(x, link)
	}
	if s.intact && !fits { // what should stand at the suspect's place may come yet
		return nil
	}
	if !intact {
		s.more++
		return nil
	}
	c.judge(link, fits)
	return nil
}

// tore says that a line records another as one that a crash left unfinished.
func tore(text []byte, sum string) bool {
	var e Entry
	return json.Unmarshal(text, &e) == nil && e.Action == tornAction && e.Book != nil && e.Book.Torn != nil && e.Book.Torn.SHA256 == sum
}

// judge says what was done at the suspect, by the next line that is as it was written, where there is one; fits is that it hangs on the
// line before the suspect.
func (c *checker) judge(next Link, fits bool) {
	s, want := c.suspect, c.Head.Seq+1
	switch {
	case !s.intact && fits:
		c.find(Inserted, s.line, want, fmt.Sprintf("line %d of the chain follows it and hangs on the line before it", want))
	case !s.intact && s.linked:
		c.find(Changed, s.line, want, "its hash is not that of its bytes")
	case !s.intact:
		c.find(Changed, s.line, want, "it has no hash of its own any more")
	case s.link.Seq == want: // only the line before it can have another hash
		c.find(Changed, c.holds, c.Head.Seq, fmt.Sprintf("its hash was made anew: line %d of the chain, after it, hangs on another", want))
	case s.link.Seq <= c.Head.Seq:
		c.find(Inserted, s.line, want, fmt.Sprintf("it is line %d of the chain, which stands before it already", s.link.Seq))
	case fits:
		c.find(Reordered, s.line, want, fmt.Sprintf("it is line %d of the chain, and line %d stands after it", s.link.Seq, want))
	default:
		c.find(Removed, s.line, want, fmt.Sprintf("it is line %d of the chain, and line %d stands before it: %d lines between them are missing", s.link.Seq, c.Head.Seq, s.link.Seq-want))
	}
}

func (c *checker) find(f Fault, at line, seq int64, what string) {
	if c.Finding == nil {
		c.Finding = &Finding{f, at.path, at.number, seq, what}
	}
}

// covers says that a record of what was dropped tells why the lines before the first are missing. A crash may have left some of what was
// to go.
func (c *checker) covers(dropped Head) bool {
	return dropped.Seq >= c.First || dropped == Head{c.First - 1, c.prev}
}

// end judges what nothing follows.
func (c *checker) end() {
	if c.suspect != nil && c.Finding == nil {
		c.judge(Link{}, false)
	}
	if c.Finding != nil || !c.begun {
		return
	}
	switch {
	case c.First == 1 && c.prev != origin:
		c.find(Changed, c.began, 1, "the first line of a chain hangs on nothing, and it names another line")
	case c.First > 1 && !slices.ContainsFunc(c.dropped, c.covers):
		c.find(Removed, c.began, 1, fmt.Sprintf("it is line %d of the chain, and no record says that those before it were dropped", c.First))
	}
}
