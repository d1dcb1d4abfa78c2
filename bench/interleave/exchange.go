package interleave

import (
	"bufio"
	"net/http"
	"strings"
)

// batch is the number of requests between two readings of the clock.
const batch = 64

// An Exchange repeats one request.
type Exchange struct {
	once  func()
	reset func() // called after each batch of requests, while the clock is stopped
}

// Func returns an Exchange that calls once for each request.
func Func(once func()) *Exchange { return &Exchange{once, func() {}} }

// New returns an Exchange that sends r to h. Each response of a batch has its own header, as in a server, so that the
// measurement does not include clearing headers.
func New(h http.Handler, r *http.Request) *Exchange {
	var responses [batch]response
	for i := range responses {
		responses[i].header = make(http.Header)
	}
	i := 0
	return &Exchange{
		once: func() {
			h.ServeHTTP(&responses[i], r)
			i++
		},
		reset: func() {
			for _, w := range responses[:i] {
				clear(w.header)
			}
			i = 0
		},
	}
}

// A response is a minimal ResponseWriter.
type response struct{ header http.Header }

func (w *response) Header() http.Header         { return w.header }
func (w *response) Write(b []byte) (int, error) { return len(b), nil }
func (w *response) WriteHeader(int)             {}

// Request returns a request as net/http's server parses it. It has the header fields of a small client and those in
// extra, such as "X-API-Key: KEY". It panics if the target or a field is malformed.
func Request(target string, extra ...string) *http.Request {
	lines := append([]string{"GET " + target + " HTTP/1.1", "Host: localhost:8096", "User-Agent: curl/8.5.0", "Accept: */*"}, extra...)
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.Join(lines, "\r\n") + "\r\n\r\n")))
	if err != nil {
		panic(err)
	}
	r.RemoteAddr = "127.0.0.1:50000"
	return r
}

// Last is the last request that Handler received. Without it, the compiler could put the copy of the request on the
// stack. That would halve the time of the smallest middlewares, but does not happen in real programs.
var Last *http.Request

// Handler is the handler behind every measured middleware.
var Handler http.Handler = http.HandlerFunc(Serve)

// Serve stores the request in Last and responds with 200.
func Serve(w http.ResponseWriter, r *http.Request) {
	Last = r
	w.WriteHeader(http.StatusOK)
}
