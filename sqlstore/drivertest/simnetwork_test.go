//go:build long

package drivertest

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// A simNetwork simulates a network with latency that can lose connections silently. A lost
// connection stays open but delivers nothing.
type simNetwork struct {
	listener net.Listener
	target   string
	connect  time.Duration // time to open a connection
	request  time.Duration // latency of requests
	answer   time.Duration // maximum latency of answers, which is random

	mu    sync.Mutex
	lost  chan struct{} // closed when the current connections are lost
	dead  bool          // new connections are lost from the beginning
	conns []net.Conn
}

// newSimNetwork returns a network to the address target that works until the end of the test.
func newSimNetwork(t testing.TB, target string, request, answer time.Duration) *simNetwork {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n := &simNetwork{listener: listener, target: target, request: request, answer: answer, lost: make(chan struct{})}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { n.serve(client) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		n.mu.Lock()
		for _, conn := range n.conns {
			conn.Close()
		}
		n.mu.Unlock()
		all.Wait()
	})
	return n
}

func (n *simNetwork) serve(client net.Conn) {
	if n.connect > 0 {
		<-time.After(n.connect)
	}
	server, err := net.Dial("tcp", n.target)
	if err != nil {
		client.Close()
		return
	}
	n.mu.Lock()
	lost := n.lost
	n.conns = append(n.conns, client, server)
	n.mu.Unlock()
	type packet struct {
		due  time.Time
		data []byte // empty at the end
	}
	forward := func(to, from net.Conn, latency func() time.Duration) {
		// Packets do not wait until earlier ones have arrived.
		inTransit := make(chan packet, 1024)
		go func() {
			defer close(inTransit)
			buffer := make([]byte, 1<<16)
			for {
				n, err := from.Read(buffer)
				inTransit <- packet{time.Now().Add(latency()), bytes.Clone(buffer[:n])}
				if err != nil {
					return
				}
			}
		}()
		discard := func() {
			for range inTransit {
			}
		}
		for p := range inTransit {
			if d := time.Until(p.due); d > 0 && len(p.data) > 0 {
				<-time.After(d)
			}
			select {
			case <-lost:
				discard() // the other side does not learn that the connection has ended
				return
			default:
			}
			if len(p.data) > 0 {
				if _, err := to.Write(p.data); err != nil {
					from.Close()
					discard()
					return
				}
			}
		}
		to.Close()
		from.Close()
	}
	var both sync.WaitGroup
	both.Go(func() { forward(server, client, func() time.Duration { return n.request }) })
	both.Go(func() { forward(client, server, func() time.Duration { return rand.N(n.answer + 1) }) })
	both.Wait()
}

// lose loses all connections, and new connections until restore.
func (n *simNetwork) lose() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.dead {
		n.dead = true
		close(n.lost)
	}
}

// restore makes new connections work. Lost connections stay lost.
func (n *simNetwork) restore() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dead = false
	n.lost = make(chan struct{})
}

// throughNetwork returns a simulated network to a database and the DSN that leads through it.
func throughNetwork(t testing.TB, e engine, dsn string, request, answer time.Duration) (*simNetwork, string) {
	if e.name == "MySQL" {
		c, err := mysql.ParseDSN(dsn)
		require.NoError(t, err)
		l := newSimNetwork(t, c.Addr, request, answer)
		c.Addr = l.listener.Addr().String()
		return l, c.FormatDSN()
	}
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	l := newSimNetwork(t, u.Host, request, answer)
	u.Host = l.listener.Addr().String()
	return l, u.String()
}

// withConnectTimeout returns the DSN with a connect timeout of a second. The package documentation
// requires a timeout, because database/sql sets none when it connects for waiting callers.
func (e engine) withConnectTimeout(t testing.TB, dsn string) string {
	if e.name == "MySQL" {
		c, err := mysql.ParseDSN(dsn)
		require.NoError(t, err)
		c.Timeout = time.Second
		return c.FormatDSN()
	}
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	q := u.Query()
	q.Set("connect_timeout", "1")
	u.RawQuery = q.Encode()
	return u.String()
}
