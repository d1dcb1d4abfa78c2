//go:build long

package drivertest

import (
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// A proxy forwards the connections between a pool and its database and simulates network failures.
// It is safe for concurrent use.
type proxy struct {
	listener net.Listener
	target   string

	mu      sync.Mutex
	links   map[*link]bool
	refuses bool
	frozen  chan struct{} // closed by heal; nil while the proxy forwards
	// requests counts down the requests since freezeAt. The proxy freezes at 0, after forwarding
	// this request if passing is true, otherwise before.
	requests int
	passing  bool
}

// A link is the connection of a client and the matching connection to the server.
type link struct{ client, server net.Conn }

func (l *link) close() {
	l.client.Close()
	l.server.Close()
}

// newProxy returns a proxy to the address target that runs until the end of the test.
func newProxy(t testing.TB, target string) *proxy {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: listener, target: target, links: map[*link]bool{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		p.heal()
		p.cut()
		all.Wait()
	})
	return p
}

func (p *proxy) serve(client net.Conn) {
	p.mu.Lock()
	refuses := p.refuses
	p.mu.Unlock()
	server, err := net.Dial("tcp", p.target)
	if err != nil || refuses {
		client.Close()
		return
	}
	l := &link{client, server}
	p.mu.Lock()
	p.links[l] = true
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.forward(l, server, client, true) })
	both.Go(func() { p.forward(l, client, server, false) })
	both.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// forward copies from one connection to the other until one of them ends, and then closes both.
// request reports whether the data are requests.
func (p *proxy) forward(l *link, to, from net.Conn, request bool) {
	defer l.close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			p.wait(request)
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			p.wait(false) // a frozen network does not deliver the end of the connection
			return
		}
	}
}

// wait returns when the proxy may forward the data that it read.
func (p *proxy) wait(request bool) {
	p.mu.Lock()
	frozen := p.frozen
	if request && p.requests > 0 {
		if p.requests--; p.requests == 0 {
			p.frozen = make(chan struct{})
			if !p.passing {
				frozen = p.frozen
			}
		}
	}
	p.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
}

// freeze stops forwarding without closing anything.
func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen == nil {
		p.frozen = make(chan struct{})
	}
}

// freezeAt freezes at the n-th request from now on. This request reaches the server if passing is
// true.
func (p *proxy) freezeAt(n int, passing bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests, p.passing = n, passing
}

// isFrozen reports whether the proxy is frozen.
func (p *proxy) isFrozen() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.frozen != nil
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.close()
	}
}

// refuse closes all connections and every new one.
func (p *proxy) refuse() {
	p.mu.Lock()
	p.refuses = true
	p.mu.Unlock()
	p.cut()
}

// heal makes the proxy forward again.
func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses, p.requests = false, 0
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
}

// throughProxy returns a proxy to a database and the DSN that leads through it.
func throughProxy(t testing.TB, e engine, dsn string) (*proxy, string) {
	if e.name == "MySQL" {
		c, err := mysql.ParseDSN(dsn)
		require.NoError(t, err)
		p := newProxy(t, c.Addr)
		c.Addr = p.listener.Addr().String()
		return p, c.FormatDSN()
	}
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	p := newProxy(t, u.Host)
	u.Host = p.listener.Addr().String()
	return p, u.String()
}
