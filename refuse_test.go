package apikey_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestOutcomes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err     error
		outcome string
		status  int
	}{
		{apikey.ErrMissing, "missing", 401},
		{apikey.ErrMalformed, "malformed", 401},
		{apikey.ErrNotFound, "unknown", 401},
		{apikey.ErrRevoked, "revoked", 401},
		{apikey.ErrExpired, "expired", 401},
		{apikey.ErrAmbiguous, "ambiguous", 400},
		{apikey.ErrForbidden, "forbidden", 403},
		{apikey.ErrUnavailable, "unavailable", 503},
		{errors.New("somebody else's"), "unavailable", 503},
		{apikey.ErrInvalid, "unavailable", 503},
		{fmt.Errorf("%w: %w", apikey.ErrUnavailable, apikey.ErrMissing), "unavailable", 503},
		{fmt.Errorf("%w: %w", apikey.ErrForbidden, apikey.ErrExpired), "forbidden", 403},
	} {
		t.Run(test.err.Error(), func(t *testing.T) {
			assert.Equal(t, test.status, apikey.StatusCode(test.err))
			assert.Equal(t, test.outcome, apikey.Event{Err: test.err}.Outcome())
			wrapped := fmt.Errorf("around: %w", test.err)
			assert.Equal(t, test.status, apikey.StatusCode(wrapped), "wrapped")
		})
	}
	assert.Equal(t, "accepted", apikey.Event{}.Outcome())
	assert.Equal(t, 503, apikey.StatusCode(nil), "nothing that says it may pass")
}

func TestRefuseWritesAProblem(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	for status, err := range map[int]error{
		400: apikey.ErrAmbiguous, 401: apikey.ErrRevoked, 403: apikey.ErrForbidden, 503: errors.New("x"),
	} {
		w := httptest.NewRecorder()
		s.auth.Refuse(w, newRequest("/"), err)
		assert.Equal(t, status, w.Code)
		assert.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
		assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		assert.Equal(t, status == 401, w.Header().Get("WWW-Authenticate") != "", "a challenge with a 401 alone")
		assert.Equal(t, status == 503, w.Header().Get("Retry-After") != "", "Retry-After with a 503 alone")
		var problem struct {
			Type, Title, Detail string
			Status              int
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem))
		assert.Equal(t, status, problem.Status)
		assert.Equal(t, http.StatusText(status), problem.Title)
		assert.Equal(t, "about:blank", problem.Type)
		assert.NotEmpty(t, problem.Detail)
	}
}

func TestChallenges(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		sources []apikey.Source
		realm   string
		want    []string
	}{
		{"the default sources", nil, "", []string{"ApiKey"}},
		{"with a realm", nil, "Media server", []string{`ApiKey realm="Media server"`}},
		{"a scheme is named", []apikey.Source{apikey.Bearer()}, "x", []string{`Bearer realm="x"`}},
		{"each way once", []apikey.Source{apikey.Bearer(), apikey.Header("X-A"), apikey.Query("b")}, "", []string{"Bearer", "ApiKey"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t, apikey.Options{Sources: test.sources, Realm: test.realm})
			w := get(s.handler, "/")
			assert.Equal(t, test.want, w.Header().Values("WWW-Authenticate"))
			w.Header()["Www-Authenticate"][0] = "changed"
			assert.Equal(t, test.want, get(s.handler, "/").Header().Values("WWW-Authenticate"), "not shared")
		})
	}
}

func TestOnRefuse(t *testing.T) {
	t.Parallel()
	var refused error
	var seen *http.Request
	s := newService(t, apikey.Options{OnRefuse: func(w http.ResponseWriter, r *http.Request, err error) {
		refused, seen = err, r
		http.Error(w, "go away", apikey.StatusCode(err))
	}})
	w := get(s.handler, "/p?a=1&api_key="+s.revoked)
	assert.Equal(t, 401, w.Code)
	assert.Equal(t, "go away\n", w.Body.String())
	assert.ErrorIs(t, refused, apikey.ErrRevoked)
	assert.Equal(t, "/p?a=1", seen.RequestURI, "the request has no key in its URL")
	assert.Equal(t, "/p?a=1", seen.URL.String())

	t.Run("Require refuses by it", func(t *testing.T) {
		h := s.auth.Handler(apikey.Require("admin")(mustNotServe(t)))
		w := get(h, "/", "X-API-Key: "+s.good)
		assert.Equal(t, 403, w.Code)
		assert.Equal(t, "go away\n", w.Body.String())
		assert.ErrorIs(t, refused, apikey.ErrForbidden)
	})
	t.Run("Require behind Optional refuses by it", func(t *testing.T) {
		refused = nil
		w := get(s.auth.Optional(apikey.Require()(mustNotServe(t))), "/")
		assert.Equal(t, "go away\n", w.Body.String())
		assert.ErrorIs(t, refused, apikey.ErrMissing)
	})
}

// A canary is a key that must not be seen anywhere but in the request.
func TestACanaryIsNowhereToBeFound(t *testing.T) {
	t.Parallel()
	var all bytes.Buffer // whatever the package tells anybody
	text := slog.NewTextHandler(&all, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})
	s := newService(t, apikey.Options{
		Logger: slog.New(text),
		Observe: func(ctx context.Context, e apikey.Event) {
			fmt.Fprintf(&all, "%v %+v %#v %v %s\n", ctx, e, e, e.Err, e.Outcome())
			slog.New(text).Info("event", "event", e)
		},
	})
	secret, key := s.issue(t, apikey.Key{Name: "Canary"})
	wrong := secret[:38] + "x"
	server := httptest.NewUnstartedServer(s.auth.Conceal(logURL(&all, s.auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(&all, "%s %v\n", r.RequestURI, r.URL)
		if r.URL.Query().Has("panic") {
			panic("handler panics")
		}
	})))))
	server.Config.ErrorLog = slog.NewLogLogger(text, slog.LevelError)
	server.Start()
	ask := func(target string, lines string) {
		conn := server.Client()
		r, err := http.NewRequest("GET", server.URL+target, nil)
		require.NoError(t, err)
		if lines != "" {
			r.Header.Set("X-Api-Key", lines)
		}
		if res, err := conn.Do(r); err == nil {
			res.Header.Write(&all)
			io.Copy(&all, res.Body)
			res.Body.Close()
		}
	}
	for _, canary := range []string{secret, wrong} {
		ask("/", canary)
		ask("/?a=1&api_key="+canary, "")
		ask("/?API%5fKEY="+canary, "")
		ask("/?x=1;api_key="+canary, "")
		ask("/?api_key=%zz&api_key="+canary, canary)
		ask("/?panic&api_key="+canary, "")
		ask("/?panic", canary)
	}
	_, err := s.store.Revoke(t.Context(), key.ID)
	require.NoError(t, err)
	ask("/?api_key="+secret, "")
	server.Close()

	require.Contains(t, all.String(), "handler panics")
	require.Contains(t, all.String(), "outcome=revoked")
	assert.NotContains(t, all.String(), secret[3:33])
}

// logURL stands for an access logger.
func logURL(w io.Writer, next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer func() { fmt.Fprintf(w, "access log: %s %v %v\n", r.RequestURI, r.URL, r.Form) }()
		next.ServeHTTP(rw, r)
	})
}

func TestOurLogHasNoPath(t *testing.T) {
	t.Parallel()
	// A path may hold a key, as those of key-management endpoints do.
	var log bytes.Buffer
	s := newService(t, apikey.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	get(s.handler, "/Auth/Keys/"+s.good)
	assert.Contains(t, log.String(), "outcome=missing")
	assert.NotContains(t, log.String(), s.good)
}

func TestTheLogTellsWhoseKeyWasRefused(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := newService(t, apikey.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	key, identity := s.issue(t, apikey.Key{Name: "Phone"})
	_, err := s.store.Revoke(t.Context(), identity.ID)
	require.NoError(t, err)
	get(s.handler, "/", "X-Emby-Token: "+key)
	assert.Contains(t, log.String(), "outcome=revoked")
	assert.Contains(t, log.String(), "key="+identity.ID)
	assert.Contains(t, log.String(), `source="header X-Emby-Token"`)
}

func TestLineBreaksAreEscapedInLogs(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	auth, err := apikey.New(storeFunc(func(context.Context, apikey.Digest) (*apikey.Key, error) {
		return &apikey.Key{ID: "x\r\nlevel=ERROR msg=forged", Name: "a\nb"}, nil
	}), apikey.Options{
		Logger:    slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Authorize: func(*http.Request, *apikey.Key) error { return errors.New("no\r\nlevel=ERROR msg=forged") },
	})
	require.NoError(t, err)
	r := newRequest("/", "X-API-Key: "+newService(t, apikey.Options{}).good, "User-Agent: a\r\nb")
	r.RemoteAddr, r.Method = "1.2.3.4\r\n", "GET\r\n"
	serve(auth.Handler(mustNotServe(t)), r)
	assert.Equal(t, 1, bytes.Count(log.Bytes(), []byte("\n")), log.String())
	assert.NotContains(t, log.String(), "\r")
}
