// Command echo is a service whose routes are Echo's: public and protected ones, scopes by route,
// a rate for each key, and an access log without keys.
package main

import (
	"io"
	"log/slog"
	"net/http"
	"os"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/demo"
)

func main() {
	demo.Serve(func(auth *apikey.Middleware) http.Handler { return newRouter(auth, 1, 60, os.Stdout) })
}

// newRouter returns the routes. Each key has a burst of requests at once, and then so many a second.
func newRouter(auth *apikey.Middleware, rate float64, burst int, accessLog io.Writer) http.Handler {
	e := echo.New()
	e.Logger = slog.New(slog.NewTextHandler(accessLog, nil))
	e.Use(middleware.RequestLogger(), middleware.Recover())

	e.GET("/health", func(c *echo.Context) error { return c.String(http.StatusOK, "ok\n") })
	protected := e.Group("", echo.WrapMiddleware(auth.Handler), limitRate(rate, burst))
	protected.GET("/library", read, echo.WrapMiddleware(apikey.Require("library:read")))
	protected.POST("/library", write, echo.WrapMiddleware(apikey.Require("library:write")))

	return auth.Conceal(e) // around the router, so that its logger sees no key
}

// limitRate limits each key's rate, from wherever it is used.
func limitRate(rate float64, burst int) echo.MiddlewareFunc {
	return middleware.RateLimiterWithConfig(middleware.RateLimiterConfig{
		Store: middleware.NewRateLimiterMemoryStoreWithConfig(middleware.RateLimiterMemoryStoreConfig{Rate: rate, Burst: burst}),
		IdentifierExtractor: func(c *echo.Context) (string, error) {
			key, _ := apikey.FromContext(c.Request().Context())
			return key.ID, nil
		},
	})
}

func read(c *echo.Context) error {
	key, _ := apikey.FromContext(c.Request().Context())
	return c.String(http.StatusOK, "Hello, "+key.Name+"!\n")
}

func write(c *echo.Context) error {
	key, _ := apikey.FromContext(c.Request().Context())
	return c.String(http.StatusCreated, "Written for "+key.Name+".\n")
}
