package main

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/program"
	"github.com/latchkey-dev/apikey/examples/internal/routertest"
)

func TestRouter(t *testing.T) {
	t.Parallel()
	routertest.Run(t, newRouter)
}

// The middleware writes refusals itself. Echo's error handler gets only errors of handlers, with the
// identity of the caller in the context.
func TestErrorHandlerGetsNoRefusals(t *testing.T) {
	t.Parallel()
	failed := errors.New("the shelf is broken")
	var handled []string
	s := routertest.New(t, 0, func(auth *apikey.Middleware, _ int, _ io.Writer) http.Handler {
		e := echo.New()
		e.HTTPErrorHandler = func(c *echo.Context, err error) {
			key, _ := apikey.FromContext(c.Request().Context())
			handled = append(handled, key.Name+": "+err.Error())
			c.String(http.StatusTeapot, "sorry")
		}
		e.GET("/library", func(*echo.Context) error { return failed },
			echo.WrapMiddleware(auth.Handler), echo.WrapMiddleware(apikey.Require("library:read")))
		return e
	})
	reader, _ := s.Key("Reading room", "library:read")
	other, _ := s.Key("No scope")
	for _, test := range []struct {
		name, key string
		status    int
		handled   []string
	}{
		{"no key", "", http.StatusUnauthorized, nil},
		{"a missing scope", other, http.StatusForbidden, nil},
		{"a failing handler", reader, http.StatusTeapot, []string{"Reading room: the shelf is broken"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			handled = nil
			status, _ := s.Get("/library", test.key)
			assert.Equal(t, test.status, status)
			assert.Equal(t, test.handled, handled)
		})
	}
}

func TestPrintedCommands(t *testing.T) {
	t.Parallel()
	p := program.Start(t, "-addr", "localhost:0")
	assert.Equal(t, "Hello, Reading room!\n", program.Curl(t, p.Line("curl")))
	assert.Equal(t, "Written for Backup job.\n", program.Curl(t, p.Line("curl")))
}
