package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/program"
	"github.com/latchkey-dev/apikey/examples/internal/routertest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	m.Run()
}

// TestRouter is not parallel, because the mode belongs to the process. Gin logs more in debug mode.
func TestRouter(t *testing.T) {
	gin.DefaultWriter = io.Discard
	for _, mode := range []string{gin.ReleaseMode, gin.DebugMode} {
		t.Run(mode, func(t *testing.T) {
			gin.SetMode(mode)
			t.Cleanup(func() { gin.SetMode(gin.TestMode) })
			routertest.Run(t, newRouter)
		})
	}
}

func TestLogPanicWritesTheStackAndAnswers500(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	w := httptest.NewRecorder()
	router := gin.New()
	router.Use(gin.CustomRecoveryWithWriter(nil, logPanic(&log)))
	router.GET("/", func(*gin.Context) { panic("boom") })
	router.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	assert.Equal(t, http.StatusInternalServerError, w.Code)
	assert.Contains(t, log.String(), "panic: boom\n")
	assert.Contains(t, log.String(), "gin/main_test.go", "the stack")
}

// TestGinRecoveryShowsKeys states the reason for logPanic. If it fails, Gin's own recovery is safe.
func TestGinRecoveryShowsKeys(t *testing.T) {
	t.Parallel()
	const key = "ak_canary"
	logOf := func(recovery func(log io.Writer) gin.HandlerFunc) string {
		var log strings.Builder
		router := gin.New()
		router.Use(recovery(&log))
		router.GET("/", func(*gin.Context) { panic(&net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.EPIPE)}) })
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-API-Key", key)
		router.ServeHTTP(httptest.NewRecorder(), r)
		return log.String()
	}
	assert.Contains(t, logOf(func(log io.Writer) gin.HandlerFunc { return gin.RecoveryWithWriter(log) }), key)
	ours := logOf(func(log io.Writer) gin.HandlerFunc { return gin.CustomRecoveryWithWriter(nil, logPanic(log)) })
	assert.NotContains(t, ours, key)
}

func TestHandlersAfterARefusalDoNotRun(t *testing.T) {
	t.Parallel()
	var ran []string
	aborted := false
	s := routertest.New(t, 0, func(auth *apikey.Middleware, _ int, _ io.Writer) http.Handler {
		router := gin.New()
		record := func(name string) gin.HandlerFunc {
			return func(*gin.Context) { ran = append(ran, name) }
		}
		router.Use(func(c *gin.Context) {
			c.Next()
			aborted = c.IsAborted()
		})
		router.GET("/library", wrap(auth.Handler), record("middleware"), wrap(apikey.Require("library:read")), record("handler"))
		return router
	})
	reader, _ := s.Key("Reading room", "library:read")
	other, _ := s.Key("No scope")
	for _, test := range []struct {
		name, key string
		status    int
		ran       []string
	}{
		{"no key", "", http.StatusUnauthorized, nil},
		{"a key without the scope", other, http.StatusForbidden, []string{"middleware"}},
		{"a key with the scope", reader, http.StatusOK, []string{"middleware", "handler"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ran = nil
			status, _ := s.Get("/library", test.key)
			assert.Equal(t, test.status, status)
			assert.Equal(t, test.ran, ran)
			assert.Equal(t, test.status != http.StatusOK, aborted, "aborted")
		})
	}
}

func TestFromContextNeedsContextWithFallback(t *testing.T) {
	t.Parallel()
	for fallback, want := range map[bool]string{true: "Reading room", false: ""} {
		s := routertest.New(t, 0, func(auth *apikey.Middleware, _ int, _ io.Writer) http.Handler {
			router := gin.New()
			router.ContextWithFallback = fallback
			router.GET("/library", wrap(auth.Handler), func(c *gin.Context) {
				key, _ := apikey.FromContext(c)
				ofRequest, _ := apikey.FromContext(c.Request.Context())
				assert.Equal(t, "Reading room", ofRequest.Name)
				c.String(http.StatusOK, key.Name)
			})
			return router
		})
		reader, _ := s.Key("Reading room")
		_, name := s.Get("/library", reader)
		assert.Equal(t, want, name)
	}
}

func TestPrintedCommands(t *testing.T) {
	t.Parallel()
	p := program.Start(t, "-addr", "localhost:0")
	assert.Equal(t, "Hello, Reading room!\n", program.Curl(t, p.Line("curl")))
	assert.Equal(t, "Written for Backup job.\n", program.Curl(t, p.Line("curl")))
}
