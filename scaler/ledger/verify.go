package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Fault is what was done to a ledger.
type Fault string

const (
	Changed   Fault = "changed"
	Removed   Fault = "removed"
	Inserted  Fault = "inserted"
	Reordered Fault = "reordered"
	CutOff    Fault = "cut off"
	// Rewritten is that the chain holds in itself and is not the one of which a line was kept elsewhere.
	Rewritten Fault = "rewritten"
)

// Finding is the first line of a chain that is not as it was written.
type Finding struct {
	Fault Fault `json:"fault"`
	// File and Line, from 1, are where it shows; of what was removed or cut off, the line that stands in its place or would.
	File string `json:"file"`
	Line int    `json:"line"`
	// Seq is the number in the chain that belongs there.
	Seq  int64  `json:"seq"`
	What string `json:"what"`
}

func (f Finding) String() string {
	return fmt.Sprintf("%s, line %d: %s: %s", f.File, f.Line, f.Fault, f.What)
}

// Verified is what is known of one folder's chain.
type Verified struct {
	Dir   string `json:"dir"`
	Chain string `json:"chain"`
	Files int    `json:"files"`
	Lines int    `json:"lines"`
	// First is the number of the first line; above 1, older ones were dropped.
	First int64 `json:"first"`
	Head  Head  `json:"head"`
	// Unchained are lines before the chain began, which its first line has the hash of.
	Unchained int `json:"unchained,omitempty"`
	// Torn are lines that a crash left unfinished; TornEnd says that the last one is.
	Torn    int  `json:"torn,omitempty"`
	TornEnd bool `json:"tornEnd,omitempty"`
	// Lost are entries that could not be written, by the ledger's own records.
	Lost int `json:"lost,omitempty"`
	// Predecessors are the heads of others' chains that this one names.
	Predecessors []Anchor `json:"predecessors,omitempty"`
	// Anchored are the heads that were given and that the chain has, Unchecked those of lines that were dropped.
	Anchored  []Head   `json:"anchored,omitempty"`
	Unchecked []Head   `json:"unchecked,omitempty"`
	Finding   *Finding `json:"finding,omitempty"`
}

// Verify checks the chains of the ledger in a folder and of those right below it. heads are lines that were kept elsewhere: without
// one, a chain whose end was cut off or that was written anew as a whole cannot be told from a true one. With several chains a head
// is of that which has it, or of the first.
func Verify(dir string, heads ...Head) ([]Verified, error) {
	folders, err := foldersOf(dir)
	if err != nil {
		return nil, fmt.Errorf("verifying the ledger: %w; give the folder that ledgerDir names, or a copy of it", err)
	}
	var chains []*checker
	for _, folder := range folders {
		c, err := check(folder, heads)
		if err != nil {
			return nil, fmt.Errorf("verifying the ledger: %w", err)
		}
		chains = append(chains, c)
	}
	for _, h := range heads {
		if !slices.ContainsFunc(chains, func(c *checker) bool { return slices.Contains(c.Anchored, h) }) {
			blame(chains, h)
		}
	}
	if err := followed(chains); err != nil {
		return nil, fmt.Errorf("verifying the ledger: %w", err)
	}
	var out []Verified
	for _, c := range chains {
		out = append(out, c.Verified)
	}
	return out, nil
}

// blame takes a head that no chain has to the chain which should.
func blame(chains []*checker, h Head) {
	for _, c := range chains {
		if c.Finding != nil {
			return // it may be of what is wrong there
		}
	}
	for _, c := range chains {
		if h.Seq <= c.Head.Seq && h.Seq < c.First {
			c.Unchecked = append(c.Unchecked, h)
			return
		}
	}
	chains[0].lacks(h, "the head that was given")
}

// followed checks that chains have the heads which others name as their predecessors'.
func followed(chains []*checker) error {
	for _, by := range chains {
		for _, p := range by.Predecessors {
			at := slices.IndexFunc(chains, func(c *checker) bool { return c.Chain == p.Chain && c != by })
			if at < 0 || chains[at].Finding != nil || p.Seq < chains[at].First {
				continue
			}
			again, err := check(chains[at].Dir, []Head{p.Head})
			if err != nil {
				return err
			}
			if len(again.Anchored) == 0 {
				again.lacks(p.Head, "what the chain in "+by.Dir+" follows")
				chains[at].Finding = again.Finding
			}
		}
	}
	return nil
}

// lacks is the finding for a head that the chain does not have.
func (c *checker) lacks(h Head, by string) {
	if h.Seq > c.Head.Seq {
		c.Finding = &Finding{CutOff, c.at.path, c.at.number + 1, c.Head.Seq + 1,
			fmt.Sprintf("%s is line %d of a chain, and this one ends at line %d: %d lines are missing", by, h.Seq, c.Head.Seq, h.Seq-c.Head.Seq)}
		return
	}
	where := c.where[h.Seq]
	c.Finding = &Finding{Rewritten, where.path, where.number, h.Seq, fmt.Sprintf("%s has another hash for line %d: the chain was written anew up to there at least", by, h.Seq)}
}

// check goes along the chain of one folder.
func check(dir string, heads []Head) (*checker, error) {
	c := &checker{Verified: Verified{Dir: dir}, heads: heads, where: map[int64]line{}}
	closed, current, err := chapters(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if current != nil {
		defer current.Close()
	}
	for _, s := range closed {
		chapter, err := s.open()
		if errors.Is(err, fs.ErrNotExist) && !c.begun {
			continue // dropped meanwhile
		}
		if err == nil {
			err = c.file(chapter)
			chapter.Close()
		}
		if err != nil {
			return nil, err
		}
	}
	if current != nil {
		if err := c.file(&source{path: current.Name(), Reader: current}); err != nil {
			return nil, err
		}
	}
	c.end()
	return c, nil
}

func (c *checker) file(s *source) error {
	c.Files++
	c.at = line{path: s.path}
	err := s.lines(func(x line) error {
		if c.Finding != nil {
			return errFound
		}
		c.Lines++
		return c.line(x)
	})
	if err != nil && !errors.Is(err, errFound) {
		return fmt.Errorf("%s, %w", s.path, err)
	}
	return nil
}
