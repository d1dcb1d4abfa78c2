//go:build long

package drivertest

import (
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// A line is a network with a latency, which can lose its connections without a word: what is
// sent over them goes nowhere from then on, and only new ones work.
type line struct {
	listener net.Listener
	target   string
	request  time.Duration // the latency of what goes to the server
	answer   time.Duration // what comes from it has any latency up to this

	mu    sync.Mutex
	hole  chan struct{} // closed when what there is at present is lost
	dead  bool          // new ones are lost from their beginning
	conns []net.Conn
}

func newLine(t testing.TB, target string, request, answer time.Duration) *line {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &line{listener: listener, target: target, request: request, answer: answer, hole: make(chan struct{})}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { l.serve(client) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		l.mu.Lock()
		for _, conn := range l.conns {
			conn.Close()
		}
		l.mu.Unlock()
		all.Wait()
	})
	return l
}

func (l *line) serve(client net.Conn) {
	server, err := net.Dial("tcp", l.target)
	if err != nil {
		client.Close()
		return
	}
	l.mu.Lock()
	hole := l.hole
	l.conns = append(l.conns, client, server)
	l.mu.Unlock()
	forward := func(to, from net.Conn, latency func() time.Duration) {
		buffer := make([]byte, 1<<16)
		for {
			n, err := from.Read(buffer)
			if d := latency(); d > 0 && n > 0 {
				<-time.After(d)
			}
			select {
			case <-hole:
				io.Copy(io.Discard, from) // and the other side is not told of its end
				return
			default:
			}
			if n > 0 {
				if _, err := to.Write(buffer[:n]); err != nil {
					return
				}
			}
			if err != nil {
				to.Close()
				from.Close()
				return
			}
		}
	}
	var both sync.WaitGroup
	both.Go(func() { forward(server, client, func() time.Duration { return l.request }) })
	both.Go(func() { forward(client, server, func() time.Duration { return rand.N(l.answer + 1) }) })
	both.Wait()
}

// lose loses all connections, and each new one until restore.
func (l *line) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.dead {
		l.dead = true
		close(l.hole)
	}
}

func (l *line) restore() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = false
	l.hole = make(chan struct{})
}

// overLine returns the DSN by which a database is reached over a line.
func overLine(t testing.TB, e engine, dsn string, request, answer time.Duration) (*line, string) {
	if e.name == "MySQL" {
		c, err := mysql.ParseDSN(dsn)
		require.NoError(t, err)
		l := newLine(t, c.Addr, request, answer)
		c.Addr = l.listener.Addr().String()
		return l, c.FormatDSN()
	}
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	l := newLine(t, u.Host, request, answer)
	u.Host = l.listener.Addr().String()
	return l, u.String()
}
