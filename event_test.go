package apikey_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestObserve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var events []apikey.Event
		observe := func(_ context.Context, e apikey.Event) { events = append(events, e) }
		s := newService(t, apikey.Options{})
		auth, err := apikey.New(storeFunc(func(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
			time.Sleep(3 * time.Millisecond)
			return s.store.Lookup(ctx, d)
		}), apikey.Options{Observe: observe, Logger: slog.New(slog.DiscardHandler), Authorize: func(*http.Request, *apikey.Key) error {
			time.Sleep(4 * time.Millisecond)
			return nil
		}})
		require.NoError(t, err)
		r := newRequest("/p", "X-Emby-Token: "+s.valid)
		serve(auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second) })), r)
		serve(auth.Handler(mustNotServe(t)), newRequest("/p", "X-API-Key: "+s.revoked))
		serve(auth.Handler(mustNotServe(t)), newRequest("/p"))
		require.Len(t, events, 3, "one event for each decision")

		assert.Equal(t, "accepted", events[0].Outcome())
		assert.Equal(t, s.key.ID, events[0].Key.ID)
		assert.Equal(t, "header X-Emby-Token", events[0].Source)
		assert.Equal(t, "GET", events[0].Method)
		assert.Equal(t, r.RemoteAddr, events[0].RemoteAddr)
		assert.Equal(t, 7*time.Millisecond, events[0].Duration, "the time of the store and of Authorize, without the handler")

		assert.Equal(t, "revoked", events[1].Outcome())
		assert.Equal(t, "Lost phone", events[1].Key.Name, "the revoked key")
		assert.Equal(t, 3*time.Millisecond, events[1].Duration)

		assert.Equal(t, "missing", events[2].Outcome())
		assert.Nil(t, events[2].Key)
		assert.Empty(t, events[2].Source)
	})
}

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
		{apikey.ErrSuspended, "suspended", 401},
		{apikey.ErrExpired, "expired", 401},
		{apikey.ErrAmbiguous, "ambiguous", 400},
		{apikey.ErrForbidden, "forbidden", 403},
		{apikey.ErrLimited, "limited", 429},
		{apikey.ErrUnavailable, "unavailable", 503},
		{errors.New("another error"), "unavailable", 503},
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
	assert.Equal(t, 503, apikey.StatusCode(nil), "nil is not a reason to admit a request")
}

func TestLogContainsNoPath(t *testing.T) {
	t.Parallel()
	// A path may contain a key, for example in Emby's key endpoints.
	var log bytes.Buffer
	s := newService(t, apikey.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	get(s.handler, "/Auth/Keys/"+s.valid)
	assert.Contains(t, log.String(), "outcome=missing")
	assert.NotContains(t, log.String(), s.valid)
}

func TestLogNamesRefusedKey(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := newService(t, apikey.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	key, identity := s.issue(t, apikey.NewKey{Name: "Phone"})
	_, err := s.store.Revoke(t.Context(), identity.ID)
	require.NoError(t, err)
	get(s.handler, "/", "X-Emby-Token: "+key)
	assert.Contains(t, log.String(), "outcome=revoked")
	assert.Contains(t, log.String(), "key="+identity.ID)
	assert.Contains(t, log.String(), `source="header X-Emby-Token"`)
}

func TestLogEscapesLineBreaks(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	auth, err := apikey.New(storeFunc(func(context.Context, apikey.Digest) (*apikey.Key, error) {
		return &apikey.Key{ID: "x\r\nlevel=ERROR msg=forged", Name: "a\nb"}, nil
	}), apikey.Options{
		Logger:    slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Authorize: func(*http.Request, *apikey.Key) error { return errors.New("no\r\nlevel=ERROR msg=forged") },
	})
	require.NoError(t, err)
	r := newRequest("/", "X-API-Key: "+newService(t, apikey.Options{}).valid, "User-Agent: a\r\nb")
	r.RemoteAddr, r.Method = "1.2.3.4\r\n", "GET\r\n"
	serve(auth.Handler(mustNotServe(t)), r)
	assert.Equal(t, 1, bytes.Count(log.Bytes(), []byte("\n")), log.String())
	assert.NotContains(t, log.String(), "\r")
}

// The canary is a key that only the request and its handler may contain.
func TestLogsAndResponsesContainNoKey(t *testing.T) {
	t.Parallel()
	var all bytes.Buffer // logs, events and responses
	text := slog.NewTextHandler(&all, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})
	s := newService(t, apikey.Options{
		Logger: slog.New(text),
		Observe: func(ctx context.Context, e apikey.Event) {
			fmt.Fprintf(&all, "%v %+v %#v %v %s\n", ctx, e, e, e.Err, e.Outcome())
			slog.New(text).Info("event", "event", e)
		},
	})
	secret, key := s.issue(t, apikey.NewKey{Name: "Canary"})
	malformed := secret[:38] + "x"
	server := httptest.NewUnstartedServer(s.auth.Conceal(logURL(&all, s.auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(&all, "%s %v\n", r.RequestURI, r.URL)
		if r.URL.Query().Has("panic") {
			panic("handler panics")
		}
	})))))
	server.Config.ErrorLog = slog.NewLogLogger(text, slog.LevelError)
	server.Start()
	send := func(target, key string) {
		r, err := http.NewRequest("GET", server.URL+target, nil)
		require.NoError(t, err)
		if key != "" {
			r.Header.Set("X-Api-Key", key)
		}
		if res, err := server.Client().Do(r); err == nil {
			res.Header.Write(&all)
			io.Copy(&all, res.Body)
			res.Body.Close()
		}
	}
	for _, canary := range []string{secret, malformed} {
		send("/", canary)
		send("/?a=1&api_key="+canary, "")
		send("/?API%5fKEY="+canary, "")
		send("/?x=1;api_key="+canary, "")
		send("/?api_key=%zz&api_key="+canary, canary)
		send("/?panic&api_key="+canary, "")
		send("/?panic", canary)
	}
	_, err := s.store.Revoke(t.Context(), key.ID)
	require.NoError(t, err)
	send("/?api_key="+secret, "")
	server.Close()

	require.Contains(t, all.String(), "handler panics")
	require.Contains(t, all.String(), "outcome=revoked")
	assert.NotContains(t, all.String(), secret[3:33])
}

// A lockedBuffer is a bytes.Buffer that is safe for concurrent use.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func TestOutageIsLoggedAtIntervals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer // because a timer of the Middleware writes to it
		down := true
		auth, err := apikey.New(storeFunc(func(context.Context, apikey.Digest) (*apikey.Key, error) {
			if down {
				return nil, errors.New("connection refused")
			}
			return nil, apikey.ErrNotFound
		}), apikey.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		h := auth.Handler(mustNotServe(t))
		valid := newService(t, apikey.Options{}).valid
		send := func(n int) {
			for range n {
				get(h, "/", "X-API-Key: "+valid)
			}
		}
		lines := func() int { return strings.Count(log.String(), "\n") }

		send(1000)
		require.Equal(t, 1, lines(), "the first refusal")
		require.Contains(t, log.String(), "connection refused")
		time.Sleep(10*time.Second + 1)
		synctest.Wait()
		require.Equal(t, 2, lines(), "the number of further refusals")
		require.Contains(t, log.String(), "requests=999")
		require.Equal(t, 2, strings.Count(log.String(), "level=ERROR"))

		send(1)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Contains(t, log.String(), "requests=1 ")
		down = false
		send(10)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 3, lines(), "no line after the outage")
		down = true
		send(2)
		require.Equal(t, 4, lines(), "the next outage")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 5, lines())
		require.NotContains(t, log.String(), valid)
	})
}

// The functions in Options may quote the request in an error, which goes to the log and to Observe.
func TestErrorsOfOptionsContainNoKey(t *testing.T) {
	t.Parallel()
	const legacy = "0123456789abcdef0123456789abcdef"
	var log bytes.Buffer
	var events []apikey.Event
	s := newService(t, apikey.Options{
		Format:  newFormat(t, "ak", apikey.FormatOptions{AllowImported: true}),
		Logger:  slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Observe: func(_ context.Context, e apikey.Event) { events = append(events, e) },
		Authorize: func(r *http.Request, _ *apikey.Key) error {
			return fmt.Errorf("no rule for %s", r.URL.Path)
		},
		Adopt: func(_ context.Context, s apikey.Secret) (*apikey.Key, error) {
			_, err := http.Get("unknown://old.example/check?k=" + s.Reveal())
			return nil, err
		},
	})
	assert.Equal(t, 403, get(s.handler, "/files/"+s.valid, "X-API-Key: "+s.valid).Code, "Authorize quotes the path")
	assert.Equal(t, 503, get(s.handler, "/", "X-API-Key: "+legacy).Code, "Adopt quotes the URL of another system")
	for _, e := range events {
		assert.NotContains(t, e.Err.Error(), s.valid)
		assert.NotContains(t, e.Err.Error(), legacy)
	}
	assert.Len(t, events, 2)
	assert.NotContains(t, log.String(), s.valid)
	assert.NotContains(t, log.String(), legacy)
}
