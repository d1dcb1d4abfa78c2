package forwardauth_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/forwardauth"
)

func TestFaultsOfTheConfigurationAreLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &service{}
		var err error
		s.handler, err = forwardauth.Restore(forwardauth.Allow(), forwardauth.Options{
			Convention: forwardauth.OriginalURI,
			Trusted:    trusted,
			Logger:     slog.New(slog.NewTextHandler(&log, nil)),
		})
		require.NoError(t, err)
		written := func(r *http.Request) string {
			log.Reset()
			s.answer(r)
			return log.String()
		}
		stranger := dialects[0].ask("GET", "/library?api_key=secret")
		stranger.RemoteAddr = "198.51.100.1:4711"
		incomplete := dialects[0].ask("GET", "/library?api_key=secret")
		incomplete.Header.Del("X-Original-Method")

		assert.Empty(t, written(dialects[0].ask("GET", "//library")), "clients can cause this")
		first := written(stranger)
		assert.Contains(t, first, `level=WARN msg="forwardauth: the peer is not a trusted proxy" peer=198.51.100.1:4711`)
		assert.Empty(t, written(incomplete), "within ten seconds")
		time.Sleep(10 * time.Second)
		second := written(incomplete)
		assert.Contains(t, second, `level=WARN msg="forwardauth: incomplete subrequest: X-Original-Method is missing"`)
		assert.False(t, strings.Contains(first+second, "secret"), "the log shows a key")
	})
}

func TestRefusalsHaveFixedTexts(t *testing.T) {
	t.Parallel()
	s := newService(t, dialects[1].options, nil)
	res := s.answer(dialects[1].ask("GET", "//library"))
	assert.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
	assert.JSONEq(t, `{"type":"about:blank","title":"Bad Request","status":400,"detail":"The method or the URI of the request is ambiguous."}`, body(t, res))
	res = s.answer(subrequest("GET", "/check"))
	assert.JSONEq(t, `{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"The subrequest of the proxy is incomplete."}`, body(t, res))
}
