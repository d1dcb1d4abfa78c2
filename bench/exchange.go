package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// A response is the least that a handler can write to.
type response struct {
	header http.Header
	status int
}

func (w *response) Header() http.Header         { return w.header }
func (w *response) Write(b []byte) (int, error) { return len(b), nil }
func (w *response) WriteHeader(status int)      { w.status = status }

// batch is how many requests are made between two readings of the clock.
const batch = 64

// An exchange sends one request to one handler, as often as one likes. Each response of a batch
// has a header of its own, as in a server; to empty them is not what is measured.
type exchange struct {
	handler  http.Handler
	request  *http.Request
	response response
	headers  [batch]http.Header
	used     int // of headers
}

func newExchange(h http.Handler, r *http.Request) *exchange {
	e := &exchange{handler: h, request: r}
	for i := range e.headers {
		e.headers[i] = make(http.Header)
	}
	e.response.header = e.headers[0]
	return e
}

// rewind empties the headers that were used.
func (e *exchange) rewind() {
	for _, h := range e.headers[:e.used] {
		clear(h)
	}
	e.used = 0
}

func (e *exchange) once() {
	if e.used == batch {
		e.rewind() // where nobody does between batches
	}
	e.response.header = e.headers[e.used]
	e.used++
	e.response.status = 0
	e.handler.ServeHTTP(&e.response, e.request)
}

// status makes sure that the exchange ends with this status.
func (e *exchange) status(want int) error {
	if e.once(); e.response.status != want {
		return fmt.Errorf("status %d, want %d", e.response.status, want)
	}
	return nil
}

// with is the same exchange with another request.
func (e *exchange) with(r *http.Request) *exchange { return newExchange(e.handler, r) }

// escaped holds the last request that a handler got. Were it not kept, the compiler could
// put the request's copy on the stack, which halves the floor and happens in no program.
var escaped *http.Request

// serve is the handler behind everything that speaks net/http.
//
//go:noinline
func serve(w http.ResponseWriter, r *http.Request) {
	escaped = r
	w.WriteHeader(http.StatusOK)
}

// newRequest returns a request as net/http's server makes it, with the header fields that
// a small client sends and those in extra, such as "X-API-Key: …".
func newRequest(target string, extra ...string) *http.Request {
	lines := append([]string{
		"GET " + target + " HTTP/1.1",
		"Host: localhost:8096",
		"User-Agent: curl/8.5.0",
		"Accept: */*",
	}, extra...)
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.Join(lines, "\r\n") + "\r\n\r\n")))
	if err != nil {
		panic(err) // the text is ours
	}
	r.RemoteAddr = "127.0.0.1:50000"
	return r
}

// served gives r the context that net/http's server gives to requests: two values and two
// cancellations deep. The returned function ends it.
func served(r *http.Request) (*http.Request, func()) {
	ctx := context.WithValue(context.Background(), http.ServerContextKey, new(http.Server))
	ctx = context.WithValue(ctx, http.LocalAddrContextKey, new(net.TCPAddr))
	ctx, cancelConn := context.WithCancel(ctx)
	ctx, cancel := context.WithCancel(ctx)
	return r.WithContext(ctx), func() { cancel(); cancelConn() }
}

// accepted checks an exchange that must reach its handler with an identity, as found by
// identify, and the one beside it whose key is wrong.
func accepted(e, wrong *exchange, identify func(*http.Request) bool) func() error {
	return func() error {
		escaped, seen = nil, nil
		if err := e.status(http.StatusOK); err != nil {
			return err
		}
		if escaped == nil {
			return errors.New("the handler was not reached")
		}
		if identify != nil && !identify(escaped) {
			return errors.New("the handler does not know who is calling")
		}
		if wrong == nil {
			return nil
		}
		escaped = nil
		if err := wrong.status(http.StatusUnauthorized); err != nil {
			return fmt.Errorf("with a wrong key: %w", err)
		}
		if escaped != nil {
			return errors.New("a wrong key reached the handler")
		}
		return nil
	}
}
