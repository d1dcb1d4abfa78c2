package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/program"
	"github.com/latchkey-dev/apikey/examples/internal/routertest"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestRouter(t *testing.T) {
	t.Parallel()
	routertest.Run(t, func(auth *apikey.Middleware, limit int, log io.Writer) http.Handler {
		return adaptor.FiberApp(newApp(auth, limit, log))
	})
}

func newAuth(t *testing.T) (auth *apikey.Middleware, keys [2]string) {
	t.Helper()
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{})
	require.NoError(t, err)
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	for i, name := range []string{"Reading room", "Backup job"} {
		secret, _, err := issuer.Issue(t.Context(), apikey.NewKey{Name: name, Scopes: []string{"library:read"}})
		require.NoError(t, err)
		keys[i] = secret.Reveal()
	}
	return auth, keys
}

func send(t *testing.T, app *fiber.App, target string, keys ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest("GET", target, nil)
	r.Header["X-Api-Key"] = keys
	res, err := app.Test(r)
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(body)
}

// Fiber's own adaptor passes only the last line of a header field to middleware.
func TestTwoKeysInTwoLinesAreRefused(t *testing.T) {
	t.Parallel()
	auth, keys := newAuth(t)
	res, _ := send(t, newApp(auth, 10, io.Discard), "/library", keys[0], keys[1])
	assert.Equal(t, http.StatusBadRequest, res.StatusCode)
	res, _ = send(t, newApp(auth, 10, io.Discard), "/library", keys[0], keys[0])
	assert.Equal(t, http.StatusOK, res.StatusCode)
}

func TestWrapKeepsHeaderOfFiber(t *testing.T) {
	t.Parallel()
	auth, keys := newAuth(t)
	app := fiber.New()
	app.Use(func(c fiber.Ctx) error {
		c.Vary("Origin")
		return c.Next()
	})
	app.Get("/", wrap(auth.Optional), read)
	res, body := send(t, app, "/?api_key="+keys[0])
	assert.Equal(t, "Hello, Reading room!\n", body)
	assert.Equal(t, []string{"private"}, res.Header["Cache-Control"])
	assert.Equal(t, []string{"no-referrer"}, res.Header["Referrer-Policy"])
	res, body = send(t, app, "/")
	assert.Equal(t, "Hello, !\n", body)
	assert.Contains(t, res.Header["Vary"], "Origin")
	assert.Greater(t, len(res.Header["Vary"]), 1)
}

func TestPrintedCommands(t *testing.T) {
	t.Parallel()
	p := program.Start(t, "-addr", "localhost:0")
	assert.Equal(t, "Hello, Reading room!\n", program.Curl(t, p.Line("curl")))
	assert.Equal(t, "Written for Backup job.\n", program.Curl(t, p.Line("curl")))
}

// Deleting a field moves the others within fasthttp's memory.
func TestWrapSetsEachFieldOnce(t *testing.T) {
	t.Parallel()
	auth, keys := newAuth(t)
	app := fiber.New()
	app.Use(wrap(auth.Conceal), wrap(auth.Handler))
	app.Get("/", wrap(apikey.Require("library:write")), read)
	for range 100 {
		res, _ := send(t, app, "/?api_key="+keys[0])
		for name, values := range res.Header {
			assert.Len(t, values, 1, name)
		}
	}
}

// net/url finds another host or path than fasthttp in some of these targets.
func TestAuthorizeSeesTheHostAndPathThatFiberServes(t *testing.T) {
	t.Parallel()
	var seen atomic.Value
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{Authorize: func(r *http.Request, _ *apikey.Key) error {
		seen.Store(r.Host + " " + r.URL.Path)
		return nil
	}})
	require.NoError(t, err)
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	secret, _, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job"})
	require.NoError(t, err)
	app := fiber.New()
	app.Use(wrap(auth.Handler))
	app.Get("/*", func(c fiber.Ctx) error { return c.SendString(c.Host() + " " + c.Path()) })
	listener, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	go app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true})
	t.Cleanup(func() { app.Shutdown() })

	for name, test := range map[string]struct {
		target string
		status int
		served string
	}{
		"a path":                              {"/admin", 200, "a.example /admin"},
		"a path and a query":                  {"/admin?x=://", 200, "a.example /admin"},
		"a host before the path":              {"//b.example/admin?://", 200, "b.example /admin"},
		"a host before a path of two slashes": {"//b.example//c.example/admin?://", 400, ""},
		"two slashes":                         {"//b.example/admin", 400, ""},
		"a fragment":                          {"/admin#x", 200, "a.example /admin"},
		"a fragment with a question mark":     {"/admin#?x", 200, "a.example /admin"},
		"a fragment after a query":            {"/admin?x#y", 200, "a.example /admin"},
		"a URL of another host":               {"http://b.example/admin", 200, "b.example /admin"},
		"a URL with a user":                   {"http://u@b.example/admin", 200, "b.example /admin"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", listener.Addr().String())
			require.NoError(t, err)
			defer conn.Close()
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a.example\r\nX-API-Key: %s\r\nConnection: close\r\n\r\n", test.target, secret.Reveal())
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.Equal(t, test.status, res.StatusCode)
			if test.status == http.StatusOK {
				assert.Equal(t, test.served, string(body))
				assert.Equal(t, test.served, seen.Load())
			}
		})
	}
}

// A rule of Authorize about a path would otherwise have to expect every spelling of it.
func TestARouteHasOnePath(t *testing.T) {
	t.Parallel()
	auth, keys := newAuth(t)
	app := newApp(auth, 10, io.Discard)
	for _, path := range []string{"/LIBRARY", "/Library", "/library/"} {
		res, _ := send(t, app, path, keys[0])
		assert.Equal(t, http.StatusNotFound, res.StatusCode, path)
	}
}
