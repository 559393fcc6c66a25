package main

import (
	"encoding/binary"
	"maps"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Traffic is what one client, by its client id, sent to the brokers and got from them.
type Traffic struct {
	Requests int64 `json:"requests"`
	// In and Out are bytes as the brokers see them.
	In  int64 `json:"in"`
	Out int64 `json:"out"`
	// ByKind counts the requests by their Kafka name.
	ByKind map[string]int64 `json:"byKind"`
}

// since is the traffic after an earlier look.
func (t Traffic) since(before Traffic) Traffic {
	d := Traffic{Requests: t.Requests - before.Requests, In: t.In - before.In, Out: t.Out - before.Out, ByKind: map[string]int64{}}
	for kind, n := range t.ByKind {
		if n -= before.ByKind[kind]; n != 0 {
			d.ByKind[kind] = n
		}
	}
	return d
}

func (t Traffic) bytes() int64 { return t.In + t.Out }

// counter counts the Kafka requests of every connection that it is told of. It is safe for concurrent use.
type counter struct {
	mu      sync.Mutex
	clients map[string]*Traffic
}

func newCounter() *counter { return &counter{clients: map[string]*Traffic{}} }

// snapshot is a copy of what was counted, by client id.
func (c *counter) snapshot() map[string]Traffic {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]Traffic{}
	for id, t := range c.clients {
		copied := *t
		copied.ByKind = maps.Clone(t.ByKind)
		all[id] = copied
	}
	return all
}

// count is called with the counter locked.
func (c *counter) count(client string, add func(*Traffic)) {
	t := c.clients[client]
	if t == nil {
		t = &Traffic{ByKind: map[string]int64{}}
		c.clients[client] = t
	}
	add(t)
}

// listen is net.Listen with every connection counted.
func (c *counter) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	return countedListener{l, c}, nil
}

type countedListener struct {
	net.Listener
	counter *counter
}

func (l countedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countedConn{Conn: conn, counter: l.counter}, nil
}

// countedConn reads the frames that pass through it. What is answered belongs to who asked last.
type countedConn struct {
	net.Conn
	counter *counter
	frames  frames
	client  string
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.counter.mu.Lock()
		c.frames.feed(p[:n], func(client string, key int16, size int) {
			c.client = client
			c.counter.count(client, func(t *Traffic) {
				t.Requests++
				t.In += int64(size)
				t.ByKind[kmsg.NameForKey(key)]++
			})
		})
		c.counter.mu.Unlock()
	}
	return n, err
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.counter.mu.Lock()
	c.counter.count(c.client, func(t *Traffic) { t.Out += int64(n) })
	c.counter.mu.Unlock()
	return n, err
}

// frames finds the requests in a stream of Kafka's protocol: a size of four bytes, then api key, version and
// correlation id, then the client id with its length, then what is skipped.
type frames struct {
	head []byte
	skip int
}

const (
	sizeBytes = 4
	// fixedBytes is the head up to and with the length of the client id.
	fixedBytes = sizeBytes + 2 + 2 + 4 + 2
)

// feed takes the next bytes of the stream; a request is told of as soon as its head is complete. Its size is with the four bytes.
func (f *frames) feed(p []byte, seen func(client string, key int16, size int)) {
	for len(p) > 0 {
		if f.skip > 0 {
			n := min(f.skip, len(p))
			f.skip, p = f.skip-n, p[n:]
			continue
		}
		n := min(f.headSize()-len(f.head), len(p))
		f.head, p = append(f.head, p[:n]...), p[n:]
		size := f.headSize()
		if len(f.head) < size {
			continue
		}
		whole := sizeBytes + int(int32(binary.BigEndian.Uint32(f.head)))
		seen(string(f.head[fixedBytes:]), int16(binary.BigEndian.Uint16(f.head[sizeBytes:])), whole)
		f.skip, f.head = max(0, whole-size), f.head[:0]
	}
}

// headSize is how long the head is, as far as that is known.
func (f *frames) headSize() int {
	if len(f.head) < fixedBytes {
		return fixedBytes
	}
	// a null client id has length -1
	return fixedBytes + max(0, int(int16(binary.BigEndian.Uint16(f.head[fixedBytes-2:]))))
}
