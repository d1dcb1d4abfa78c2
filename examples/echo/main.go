// Command echo is a service with Echo. It has public and protected routes, a scope for each
// protected route, a rate limit for each key, and an access log without keys.
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
	demo.Serve(func(auth *apikey.Middleware) http.Handler { return newRouter(auth, 600, os.Stdout) })
}

// newRouter returns the routes. Each key may send perHour requests an hour.
func newRouter(auth *apikey.Middleware, perHour int, accessLog io.Writer) http.Handler {
	e := echo.New()
	e.Logger = slog.New(slog.NewTextHandler(accessLog, nil))
	e.Use(middleware.RequestLogger(), middleware.Recover())

	e.GET("/health", func(c *echo.Context) error { return c.String(http.StatusOK, "ok\n") })
	protected := e.Group("", echo.WrapMiddleware(auth.Handler))
	limited := echo.WrapMiddleware(demo.PerHour(perHour).Handler) // after Require, so that a refused request spends nothing
	protected.GET("/library", read, echo.WrapMiddleware(apikey.Require("library:read")), limited)
	protected.POST("/library", write, echo.WrapMiddleware(apikey.Require("library:write")), limited)

	return auth.Conceal(e) // around the router, so that its logger sees no key
}

func read(c *echo.Context) error {
	key, _ := apikey.FromContext(c.Request().Context())
	return c.String(http.StatusOK, "Hello, "+key.Name+"!\n")
}

func write(c *echo.Context) error {
	key, _ := apikey.FromContext(c.Request().Context())
	return c.String(http.StatusCreated, "Written for "+key.Name+".\n")
}
