// Command gin is a service with Gin. It has public and protected routes, a scope for each
// protected route, a rate limit for each key, and an access log without keys.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"

	"github.com/gin-gonic/gin"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/demo"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	demo.Serve(func(auth *apikey.Middleware) http.Handler { return newRouter(auth, 600, os.Stdout) })
}

// newRouter returns the routes. Each key may send perHour requests an hour.
func newRouter(auth *apikey.Middleware, perHour int, accessLog io.Writer) http.Handler {
	router := gin.New()
	router.ContextWithFallback = true // otherwise FromContext finds no key in a *gin.Context
	// Without a writer, because Gin would write the request header with the key to it.
	router.Use(gin.LoggerWithWriter(accessLog), gin.CustomRecoveryWithWriter(nil, logPanic(accessLog)))

	router.GET("/health", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	protected := router.Group("/", wrap(auth.Handler))
	limited := wrap(demo.PerHour(perHour).Handler) // after Require, so that a refused request spends nothing
	protected.GET("/library", wrap(apikey.Require("library:read")), limited, read)
	protected.POST("/library", wrap(apikey.Require("library:write")), limited, write)

	return auth.Conceal(router) // around the router, so that its logger sees no key
}

// logPanic logs a panic without the request.
func logPanic(to io.Writer) gin.RecoveryFunc {
	return func(c *gin.Context, value any) {
		fmt.Fprintf(to, "panic: %v\n%s", value, debug.Stack())
		c.AbortWithStatus(http.StatusInternalServerError)
	}
}

// wrap adapts net/http middleware to Gin. The next handlers write to Gin's ResponseWriter, even if
// the middleware wraps it.
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

func read(c *gin.Context) {
	key, _ := apikey.FromContext(c)
	c.String(http.StatusOK, "Hello, %s!\n", key.Name)
}

func write(c *gin.Context) {
	key, _ := apikey.FromContext(c)
	c.String(http.StatusCreated, "Written for %s.\n", key.Name)
}
