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

// A proxy stands between a pool and its database and does what networks do. It is safe for
// concurrent use.
type proxy struct {
	listener net.Listener
	target   string

	mu      sync.Mutex
	links   map[*link]bool
	refuses bool
	frozen  chan struct{} // closed when it heals; nil while it forwards
	// requests counts what clients have sent since freezeAt; with the one that makes it zero
	// the proxy freezes, before or after passing that on.
	requests int
	passing  bool
}

// A link is a connection of a client and its connection to the server.
type link struct{ client, server net.Conn }

func (l *link) close() {
	l.client.Close()
	l.server.Close()
}

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
			p.wait(false) // a frozen network does not tell that the other side has closed
			return
		}
	}
}

// wait returns when what was read may be passed on.
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

// freezeAt freezes with the n-th request from now on, which still reaches the server if passing.
func (p *proxy) freezeAt(n int, passing bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests, p.passing = n, passing
}

// isFrozen reports whether freezeAt has come to pass.
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

// refuse closes all connections, and each new one.
func (p *proxy) refuse() {
	p.mu.Lock()
	p.refuses = true
	p.mu.Unlock()
	p.cut()
}

// heal forwards again.
func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses, p.requests = false, 0
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
}

// throughProxy returns the DSN by which a database is reached through a proxy.
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
