// Package wire looks through what a broker sends before the client decodes it: the client takes memory for as many elements as an
// array is said to have before it has read one of them, so that a few bytes could cost gigabytes, and it counts through as many
// tags as there are said to be.
package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// MaxAnswer is the size of the largest answer to any request, in bytes.
const MaxAnswer = maxMetadata

// MaxOther is the size of the largest answer to a request that is not for metadata, in bytes; decoded it may take twice as much.
const MaxOther = maxOther

// The largest answers, in bytes, and how many bytes they may take once decoded. 100,000 partitions of three replicas are 4.2 MB of metadata
// in a hundred topics and 12 MB in as many topics, 29 MB decoded; their commits are 2.1 MB at one coordinator and 8 MB, 14 decoded, with
// 60 bytes of words in each; their offsets are 2.7 MB at one leader and 8 MB, 18 decoded, in as many topics. Besides what is decoded, an
// answer is in memory twice, here and in the client. Metadata is asked of one broker at a time, so that it costs at most 2*24+64 = 112 MiB; of
// the rest each broker costs at most 2*12+24 = 48 MiB at a time, and six that mean harm at once 288 MiB. What is refused costs its size at most.
const (
	maxMetadata        = 24 << 20
	maxMetadataDecoded = 64 << 20
	maxOther           = 12 << 20
	maxOtherDecoded    = 24 << 20
	// maxGreeting is for what a connection begins with.
	maxGreeting        = 64 << 10
	maxGreetingDecoded = 1 << 20
)

// small is how much of an answer is made room for before any of it has come.
const small = 16 << 10

// DialFunc connects to a broker.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Guard makes connections on which only answers arrive that are whole, of the size that their kind may have, and cost no more to
// decode than it may. Any other answer is an error of the connection, an *Error.
func Guard(dial DialFunc) DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &guarded{Conn: conn}, nil
	}
}

// Error says what is wrong with an answer.
type Error struct {
	// Kind is the request's name; empty where none is answered.
	Kind, Problem string
	// TooLarge says that it may be right, and is more than is read.
	TooLarge bool
}

func (e *Error) Error() string {
	if e.Kind == "" {
		return fmt.Sprintf("it does not speak Kafka's protocol: %s: check the address and the port", e.Problem)
	}
	if e.TooLarge {
		return fmt.Sprintf("its answer to %s is larger than is read: %s: ask about fewer groups and topics", e.Kind, e.Problem)
	}
	return fmt.Sprintf("its answer to %s is not to be believed: %s: check that a broker of Kafka is at the address",
		e.Kind, e.Problem)
}

// asked is a request that is to be answered.
type asked struct {
	key, version int16
	correlation  int32
}

type guarded struct {
	net.Conn

	mu   sync.Mutex
	open []asked

	// whole is what has been looked through and is still to be read.
	whole []byte
	err   error
}

// Write notes which request it is: the client writes each with one call.
func (g *guarded) Write(request []byte) (int, error) {
	if len(request) >= 12 {
		g.mu.Lock()
		g.open = append(g.open, asked{int16(binary.BigEndian.Uint16(request[4:])), int16(binary.BigEndian.Uint16(request[6:])),
			int32(binary.BigEndian.Uint32(request[8:]))})
		g.mu.Unlock()
	}
	return g.Conn.Write(request)
}

// Read gives nothing of an answer before all of it has come.
func (g *guarded) Read(into []byte) (int, error) {
	if len(g.whole) == 0 {
		if g.err == nil {
			g.whole, g.err = g.next()
		}
		if g.err != nil {
			return 0, g.err
		}
	}
	n := copy(into, g.whole)
	if g.whole = g.whole[n:]; len(g.whole) == 0 {
		g.whole = nil
	}
	return n, nil
}

// next reads one answer, with the size before it.
func (g *guarded) next() ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(g.Conn, head[:4]); err != nil {
		return nil, err
	}
	size := int64(int32(binary.BigEndian.Uint32(head[:])))
	if problem := stranger(head[:4]); problem != "" {
		return nil, &Error{Problem: problem}
	}
	if size < 4 {
		return nil, &Error{Problem: fmt.Sprintf("an answer of %d bytes", size)}
	}
	if _, err := io.ReadFull(g.Conn, head[4:]); err != nil {
		return nil, cut(err)
	}
	of, ok := g.answered(int32(binary.BigEndian.Uint32(head[4:])))
	if !ok {
		return nil, &Error{Problem: "an answer to a request that was not sent"}
	}
	kind := kmsg.NameForKey(of.key)
	l, ok := layouts[of.key]
	if !ok {
		return nil, &Error{Kind: kind, Problem: "swell does not know what it looks like"}
	}
	if size > l.size {
		return nil, &Error{Kind: kind, Problem: fmt.Sprintf("%d bytes, and %d are the most that are read", size, l.size), TooLarge: true}
	}
	// Room is made for all of it once some has come.
	buf := make([]byte, 4+min(size, small))
	copy(buf, head[:])
	if _, err := io.ReadFull(g.Conn, buf[8:]); err != nil {
		return nil, cut(err)
	}
	if size > small {
		all := make([]byte, 4+size)
		if _, err := io.ReadFull(g.Conn, all[copy(all, buf):]); err != nil {
			return nil, cut(err)
		}
		buf = all
	}
	if w := l.walker(of, buf[8:]); w.problem != "" {
		return nil, &Error{Kind: kind, Problem: w.problem, TooLarge: w.decoded > w.most}
	}
	return buf, nil
}

// answered takes out the request that is answered: Kafka answers in the order of the requests.
func (g *guarded) answered(correlation int32) (asked, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.open) == 0 || g.open[0].correlation != correlation {
		return asked{}, false
	}
	first := g.open[0]
	g.open = g.open[1:]
	return first, true
}

// stranger is what an answer's first bytes say of who sends it, where that is no broker.
func stranger(head []byte) string {
	switch {
	case string(head) == "HTTP":
		return "it answers in HTTP"
	case (head[0] == 0x15 || head[0] == 0x16) && head[1] == 3:
		return "it answers in TLS"
	}
	return ""
}

// cut is the error of an answer that ends too early.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
