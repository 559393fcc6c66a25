package ui

import (
	"net"
	"sync"
)

const (
	// mostConnections at once; more wait to be accepted.
	mostConnections = 256
	// mostOfSource of one address; more are closed. It does not hold for tunnels, which all come from this pod's own 127.0.0.1 and are
	// bounded by who may make one.
	mostOfSource = 64
)

// bounded accepts so many connections at once, and of one source.
func bounded(l net.Listener) net.Listener {
	return &boundedListener{Listener: l, free: make(chan struct{}, mostConnections), of: map[string]int{}}
}

type boundedListener struct {
	net.Listener
	free chan struct{}

	mu sync.Mutex
	of map[string]int // connections by source
}

func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		l.free <- struct{}{}
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.free
			return nil, err
		}
		source := sourceOf(c.RemoteAddr().String())
		if l.take(source) {
			return &boundedConn{Conn: c, done: sync.OnceFunc(func() { l.leave(source) })}, nil
		}
		c.Close()
		<-l.free
	}
}

func (l *boundedListener) take(source string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[source] >= mostOfSource && source != "127.0.0.1" && source != "::1" {
		return false
	}
	l.of[source]++
	return true
}

func (l *boundedListener) leave(source string) {
	l.mu.Lock()
	if l.of[source]--; l.of[source] == 0 {
		delete(l.of, source)
	}
	l.mu.Unlock()
	<-l.free
}

// sourceOf is where a connection comes from.
func sourceOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

type boundedConn struct {
	net.Conn
	done func()
}

func (c *boundedConn) Close() error {
	defer c.done()
	return c.Conn.Close()
}
