// Command gin is a service whose routes are Gin's: public and protected ones, scopes by route,
// a rate for each key, and an access log without keys.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/httprate"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/demo"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	demo.Serve(func(auth *apikey.Middleware) http.Handler { return newRouter(auth, 60, os.Stdout) })
}

// newRouter returns the routes. Each key has so many requests a minute.
func newRouter(auth *apikey.Middleware, limit int, accessLog io.Writer) http.Handler {
	router := gin.New()
	router.ContextWithFallback = true // or FromContext finds nothing in a *gin.Context
	// Without a writer, since what Gin writes of a panic has the request's header, and the key in it.
	router.Use(gin.LoggerWithWriter(accessLog), gin.CustomRecoveryWithWriter(nil, logPanic(accessLog)))

	router.GET("/health", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	protected := router.Group("/", wrap(auth.Handler), wrap(httprate.LimitBy(limit, time.Minute, byKey)))
	protected.GET("/library", wrap(apikey.Require("library:read")), read)
	protected.POST("/library", wrap(apikey.Require("library:write")), write)

	return auth.Conceal(router) // around the router, so that its logger sees no key
}

// logPanic logs a panic, and nothing of the request.
func logPanic(to io.Writer) gin.RecoveryFunc {
	return func(c *gin.Context, value any) {
		fmt.Fprintf(to, "panic: %v\n%s", value, debug.Stack())
		c.AbortWithStatus(http.StatusInternalServerError)
	}
}

// wrap makes middleware of net/http Gin's. What follows keeps Gin's ResponseWriter: one that the
// middleware puts around it is dropped.
func wrap(middleware func(http.Handler) http.Handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		passed := false
		next := func(_ http.ResponseWriter, r *http.Request) { passed, c.Request = true, r; c.Next() }
		middleware(http.HandlerFunc(next)).ServeHTTP(c.Writer, c.Request)
		if !passed {
			c.Abort()
		}
	}
}

// byKey tells a limiter whose request it is. A key has one rate, from wherever it is used.
func byKey(r *http.Request) (string, error) {
	key, _ := apikey.FromContext(r.Context())
	return key.ID, nil
}

func read(c *gin.Context) {
	key, _ := apikey.FromContext(c)
	c.String(http.StatusOK, "Hello, %s!\n", key.Name)
}

func write(c *gin.Context) {
	key, _ := apikey.FromContext(c)
	c.String(http.StatusCreated, "Written for %s.\n", key.Name)
}
