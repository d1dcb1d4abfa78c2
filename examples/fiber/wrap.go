package main

import (
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v3"
)

// wrap adapts net/http middleware to Fiber. Fiber's own adaptor is not safe here. It loses the
// context with the identity, and it passes only the last line of each header field, which hides a
// second key.
func wrap(middleware func(http.Handler) http.Handler) fiber.Handler {
	return func(c fiber.Ctx) error {
		r, err := newRequest(c)
		if err != nil {
			return fiber.ErrBadRequest
		}
		passed := false
		w := &responseWriter{c: c, header: copyOf(c.Response().Header.All())}
		middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			passed = true
			c.SetContext(r.Context())
			c.Request().Header.SetHost(r.Host)
			c.Request().SetRequestURI(r.URL.RequestURI()) // without the key
		})).ServeHTTP(w, r)
		w.copyHeader()
		if passed {
			return c.Next()
		}
		return nil
	}
}

// newRequest returns a copy of the request without its body. fasthttp reuses the memory of the
// original for other requests.
//
// The copy has the host, path and query that fasthttp found and Fiber uses. net/url finds others in
// targets such as //host/path?:// and /path#fragment, so that Options.Authorize would check another
// path than the one that Fiber serves.
func newRequest(c fiber.Ctx) (*http.Request, error) {
	target := c.Request().URI()
	uri := string(target.PathOriginal())
	if strings.HasPrefix(uri, "//") {
		return nil, errors.New("fasthttp could take the path for a host")
	}
	if query := target.QueryString(); len(query) > 0 {
		uri += "?" + string(query)
	}
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		return nil, err
	}
	r := &http.Request{
		Method: string(c.Request().Header.Method()), URL: u, RequestURI: uri, Body: http.NoBody,
		Header: copyOf(c.Request().Header.All()),
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Host: string(target.Host()), RemoteAddr: c.RequestCtx().RemoteAddr().String(),
	}
	return r.WithContext(c.Context()), nil
}

// copyOf returns a copy of header fields that shares no memory with fasthttp, which reuses its memory with every
// change. The strings of Fiber's own GetRespHeaders share that memory.
func copyOf(fields iter.Seq2[[]byte, []byte]) http.Header {
	header := http.Header{}
	for name, value := range fields {
		header.Add(string(name), string(value))
	}
	return header
}

// responseWriter is an http.ResponseWriter for Fiber's response.
type responseWriter struct {
	c      fiber.Ctx
	header http.Header
}

func (w *responseWriter) Header() http.Header { return w.header }

func (w *responseWriter) WriteHeader(status int) { w.c.Status(status) }

func (w *responseWriter) Write(b []byte) (int, error) {
	w.c.Response().AppendBody(b)
	return len(b), nil
}

func (w *responseWriter) copyHeader() {
	to := &w.c.Response().Header
	for name := range w.header {
		to.Del(name) // before any Add, because Del changes the order of lines
	}
	for name, values := range w.header {
		for _, value := range values {
			to.Add(name, value)
		}
	}
}
