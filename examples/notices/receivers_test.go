package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/textproto"
	"strings"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A mailServer is an SMTP server that keeps the mails that it gets.
type mailServer struct {
	addr string

	mu    sync.Mutex
	mails []received
	full  bool // whether it refuses mails
}

type received struct {
	to  string
	msg *mail.Message
}

func newMailServer(t *testing.T) *mailServer {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &mailServer{addr: listener.Addr().String()}
	var serving sync.WaitGroup
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { defer conn.Close(); s.serve(t, textproto.NewConn(conn)) })
		}
	})
	return s
}

func (s *mailServer) serve(t *testing.T, c *textproto.Conn) {
	c.PrintfLine("220 test")
	to := ""
	for {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		switch command, rest, _ := strings.Cut(line, ":"); {
		case command == "RCPT TO" && s.isFull():
			c.PrintfLine("452 mailbox full")
		case command == "RCPT TO":
			to = strings.Trim(rest, "<>")
			c.PrintfLine("250 ok")
		case line == "DATA":
			c.PrintfLine("354 go on")
			text, err := io.ReadAll(c.DotReader())
			assert.NoError(t, err)
			msg, err := mail.ReadMessage(bufio.NewReader(strings.NewReader(string(text))))
			if assert.NoError(t, err, "%s", text) {
				s.keep(received{to, msg})
			}
			c.PrintfLine("250 ok")
		case line == "QUIT":
			c.PrintfLine("221 bye")
			return
		default:
			c.PrintfLine("250 ok")
		}
	}
}

func (s *mailServer) keep(r received) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, r)
}

func (s *mailServer) isFull() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full
}

func (s *mailServer) setFull(full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = full
}

func (s *mailServer) all() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mails
}

// testSecret is the secret of the examples in the specification of Standard Webhooks.
const testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// A hookServer receives webhooks and verifies them with the reference implementation. It answers with status.
type hookServer struct {
	*httptest.Server

	mu     sync.Mutex
	status int
	ids    []string
	bodies []string
}

func newHookServer(t *testing.T) *hookServer {
	verifier, err := standardwebhooks.NewWebhook(testSecret)
	require.NoError(t, err)
	s := &hookServer{status: http.StatusNoContent}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.NoError(t, verifier.Verify(body, r.Header))
		assert.Error(t, verifier.Verify(append(body, ' '), r.Header), "another body")
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ids, s.bodies = append(s.ids, r.Header.Get("webhook-id")), append(s.bodies, string(body))
		if s.status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(s.status)
	}))
	t.Cleanup(s.Close)
	return s
}
