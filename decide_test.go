package apikey_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestMiddlewareDecision(t *testing.T) {
	t.Parallel()
	var events []apikey.Event
	s := newService(t, apikey.Options{Observe: func(_ context.Context, e apikey.Event) { events = append(events, e) }})
	digest := func(key string) apikey.Digest {
		d, err := s.issuer.Format().Digest(apikey.NewSecret(key))
		require.NoError(t, err)
		return d
	}(s.valid)
	last := s.valid[len(s.valid)-1:]
	otherCase := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, s.valid[3:])
	for _, test := range []struct {
		name    string
		key     string
		status  int
		outcome string
		lookups int64
	}{
		{"a valid key is accepted", s.valid, 200, "accepted", 1},
		{"a revoked key", s.revoked, 401, "revoked", 1},
		{"an expired key", s.expired, 401, "expired", 1},
		{"a well-formed key of another store", s.unknown, 401, "unknown", 1},
		{"one character less", s.valid[:len(s.valid)-1], 401, "malformed", 0},
		{"one character more", s.valid + last, 401, "malformed", 0},
		{"letters in the other case", "ak_" + otherCase, 401, "malformed", 0},
		{"the prefix in the other case", "AK_" + s.valid[3:], 401, "malformed", 0},
		{"wrong check characters", s.valid[:33] + "zzzzzz", 401, "malformed", 0},
		{"another prefix", "sk_" + s.valid[3:], 401, "malformed", 0},
		{"the stored digest in hexadecimal", fmt.Sprintf("%x", digest[:]), 401, "malformed", 0},
		{"the stored digest itself", string(digest[:]), 401, "malformed", 0},
		{"the ID of the key", s.key.ID, 401, "malformed", 0},
		{"a NUL byte", s.valid[:39-1] + "\x00", 401, "malformed", 0},
		{"a tab within the key", s.valid[:10] + "\t" + s.valid[11:], 401, "malformed", 0},
		{"a byte that is not UTF-8", s.valid[:10] + "\xff" + s.valid[11:], 401, "malformed", 0},
		{"full-width digits", "ak_１２３４５６７８９０１２", 401, "malformed", 0},
		{"1 MiB", "ak_" + strings.Repeat("x", 1<<20), 401, "malformed", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			events = nil
			lookups, served := s.store.lookups.Load(), s.served.Load()
			w := get(s.handler, "/", "X-Api-Key: "+test.key)
			assert.Equal(t, test.status, w.Code)
			assert.Equal(t, test.lookups, s.store.lookups.Load()-lookups, "lookups")
			if test.status != 200 {
				assert.Equal(t, served, s.served.Load(), "the handler is not called")
			}
			require.Len(t, events, 1, "one event for each decision")
			assert.Equal(t, test.outcome, events[0].Outcome())
		})
	}
}

// A digest from a stolen database gives no access, even if imported keys may have any shape.
func TestDigestIsNotAKey(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]apikey.FormatOptions{
		"without a pepper": {AllowImported: true},
		"with a pepper":    {AllowImported: true, Peppers: []apikey.Secret{pepper("1")}},
	} {
		s := newService(t, apikey.Options{Format: newFormat(t, "ak", o)})
		const legacy = "Legacy0123456789"
		_, err := s.issuer.Import(t.Context(), apikey.ImportedKey{Secret: apikey.NewSecret(legacy), Name: "Old hub"})
		require.NoError(t, err)
		require.Equal(t, 200, get(s.handler, "/", "X-API-Key: "+legacy).Code)
		assert.Equal(t, 401, get(s.handler, "/", "X-API-Key: "+strings.ToLower(legacy)).Code, "%s: letters in the other case", name)
		for _, key := range []string{s.valid, legacy} {
			d, err := s.issuer.Format().Digest(apikey.NewSecret(key))
			require.NoError(t, err)
			assert.Equal(t, 401, get(s.handler, "/", fmt.Sprintf("X-API-Key: %x", d[:])).Code, name)
			assert.Equal(t, 401, get(s.handler, "/", fmt.Sprintf("X-API-Key: %X", d[:])).Code, name)
		}
	}
}

func TestUnavailableStore(t *testing.T) {
	t.Parallel()
	valid := newService(t, apikey.Options{}).valid
	outage := errors.New("connection refused to 10.0.0.7")
	for _, test := range []struct {
		name    string
		lookup  storeFunc
		status  int
		outcome string
	}{
		{"an error", func(context.Context, apikey.Digest) (*apikey.Key, error) { return nil, outage }, 503, "unavailable"},
		{"a timeout", func(context.Context, apikey.Digest) (*apikey.Key, error) { return nil, context.DeadlineExceeded }, 503, "unavailable"},
		{"neither a key nor an error", func(context.Context, apikey.Digest) (*apikey.Key, error) { return nil, nil }, 503, "unavailable"},
		{"a key with an error", func(context.Context, apikey.Digest) (*apikey.Key, error) { return &apikey.Key{ID: "x"}, outage }, 503, "unavailable"},
		{"context.Canceled, although the request is not", func(context.Context, apikey.Digest) (*apikey.Key, error) { return nil, context.Canceled }, 503, "unavailable"},
		{"a wrapped ErrNotFound", func(context.Context, apikey.Digest) (*apikey.Key, error) {
			return nil, fmt.Errorf("table keys: %w", apikey.ErrNotFound)
		}, 401, "unknown"},
		{"ErrUnavailable that wraps ErrNotFound", func(context.Context, apikey.Digest) (*apikey.Key, error) {
			return nil, fmt.Errorf("%w: replica: %w", apikey.ErrUnavailable, apikey.ErrNotFound)
		}, 503, "unavailable"},
		{"a key with ErrNotFound", func(context.Context, apikey.Digest) (*apikey.Key, error) {
			return &apikey.Key{ID: "x"}, apikey.ErrNotFound
		}, 401, "unknown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			var event apikey.Event
			auth, err := apikey.New(test.lookup, apikey.Options{
				Logger:  slog.New(slog.NewTextHandler(&log, nil)),
				Observe: func(_ context.Context, e apikey.Event) { event = e },
			})
			require.NoError(t, err)
			w := get(auth.Handler(mustNotServe(t)), "/", "X-API-Key: "+valid)
			assert.Equal(t, test.status, w.Code)
			assert.Equal(t, test.outcome, event.Outcome())
			assert.NotContains(t, w.Body.String(), "10.0.0.7", "the response does not contain the cause")
			if test.status == 503 {
				assert.NotEmpty(t, w.Header().Get("Retry-After"))
				assert.Contains(t, log.String(), "level=ERROR", "operators see the outage")
			} else {
				assert.Empty(t, log.String())
			}
		})
	}
	t.Run("a panic of the store is not recovered", func(t *testing.T) {
		auth, err := apikey.New(storeFunc(func(context.Context, apikey.Digest) (*apikey.Key, error) { panic("broken") }), apikey.Options{})
		require.NoError(t, err)
		assert.Panics(t, func() { get(auth.Handler(mustNotServe(t)), "/", "X-API-Key: "+valid) })
	})
}

func TestClosedRequestIsNotAnOutage(t *testing.T) {
	t.Parallel()
	valid := newService(t, apikey.Options{}).valid
	cause := errors.New("client closed request")
	for _, test := range []struct {
		name      string
		lookup    func(context.Context) error // called after the request is closed
		authorize func(context.Context) error
		outcome   string
	}{
		{"a store that returns the context's error", context.Context.Err, nil, "canceled"},
		{"a store that returns an error of its own", func(context.Context) error { return errors.New("connection closed") }, nil, "canceled"},
		{"a store that wraps the context's error in ErrUnavailable", func(ctx context.Context) error { return fmt.Errorf("%w: %w", apikey.ErrUnavailable, ctx.Err()) }, nil, "canceled"},
		{"Authorize that returns the context's error", nil, context.Context.Err, "canceled"},
		{"a store that is also down", func(context.Context) error { return fmt.Errorf("%w: down", apikey.ErrUnavailable) }, nil, "unavailable"},
		{"Authorize that also refuses", nil, func(context.Context) error { return errors.New("not this key") }, "forbidden"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			var event apikey.Event
			ctx, cancel := context.WithCancelCause(t.Context())
			o := apikey.Options{
				Logger:  slog.New(slog.NewTextHandler(&log, nil)),
				Observe: func(_ context.Context, e apikey.Event) { event = e },
			}
			if test.authorize != nil {
				o.Authorize = func(r *http.Request, _ *apikey.Key) error {
					cancel(cause)
					return test.authorize(r.Context())
				}
			}
			auth, err := apikey.New(storeFunc(func(ctx context.Context, _ apikey.Digest) (*apikey.Key, error) {
				if test.lookup == nil {
					return &apikey.Key{ID: "x"}, nil
				}
				cancel(cause)
				return nil, test.lookup(ctx)
			}), o)
			require.NoError(t, err)
			serve(auth.Handler(mustNotServe(t)), newRequest("/", "X-API-Key: "+valid).WithContext(ctx))
			assert.Equal(t, test.outcome, event.Outcome())
			if test.outcome == "canceled" {
				assert.ErrorIs(t, event.Err, apikey.ErrUnavailable)
				assert.ErrorIs(t, event.Err, cause, "the cause")
				assert.Empty(t, log.String())
			}
		})
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, apikey.Options{})
		key, _ := s.issue(t, apikey.NewKey{Name: "Trial", ExpiresAt: time.Now().Add(time.Hour)})
		status := func() int { return get(s.handler, "/", "X-API-Key: "+key).Code }
		assert.Equal(t, 200, status())
		time.Sleep(time.Hour - time.Microsecond)
		assert.Equal(t, 200, status(), "a microsecond before ExpiresAt")
		time.Sleep(time.Microsecond)
		assert.Equal(t, 401, status(), "at ExpiresAt")
	})
}

func TestFutureTimesAreAccepted(t *testing.T) {
	t.Parallel()
	// A clock that was set back makes the times of a key lie in the future.
	future := time.Now().Add(24 * time.Hour)
	var event apikey.Event
	auth, err := apikey.New(storeFunc(func(context.Context, apikey.Digest) (*apikey.Key, error) {
		return &apikey.Key{ID: "future", Name: "From the future", CreatedAt: future, LastUsedAt: future}, nil
	}), apikey.Options{Observe: func(_ context.Context, e apikey.Event) { event = e }})
	require.NoError(t, err)
	_, err = auth.Verify(t.Context(), apikey.NewSecret(newService(t, apikey.Options{}).valid))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, event.Duration, time.Duration(0))
}

func TestSuspendedKeyIsRefusedLikeAnUnknownOne(t *testing.T) {
	t.Parallel()
	var outcome string
	s := newService(t, apikey.Options{Observe: func(_ context.Context, e apikey.Event) { outcome = e.Outcome() }})
	unknown := get(s.handler, "/", "X-API-Key: "+s.unknown)
	secret, key := s.issue(t, apikey.NewKey{Name: "Paused"})
	suspend := func(suspended bool) {
		_, err := s.store.Update(t.Context(), key.ID, apikey.Patch{Suspended: &suspended})
		require.NoError(t, err)
	}
	suspend(true)
	w := get(s.handler, "/", "X-API-Key: "+secret)
	assert.Equal(t, 401, w.Code)
	assert.Equal(t, unknown.Body.String(), w.Body.String())
	assert.Equal(t, unknown.Header(), w.Header())
	assert.Equal(t, "suspended", outcome)
	suspend(false)
	assert.Equal(t, 200, get(s.handler, "/", "X-API-Key: "+secret).Code)
}
