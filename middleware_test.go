package apikey_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestNewRefusesInvalidOptions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		store     apikey.KeyStore
		options   apikey.Options
		wantError string
	}{
		{"no store", nil, apikey.Options{}, "KeyStore: nil"},
		{"a nil pointer as the store", (*memstore.Store)(nil), apikey.Options{}, "KeyStore: nil"},
		{"a nil function as the store", storeFunc(nil), apikey.Options{}, "KeyStore: nil"},
		{"a realm that ends its quotes", memstore.New(), apikey.Options{Realm: `a", error="b`}, "Realm"},
		{"a realm with a line break", memstore.New(), apikey.Options{Realm: "a\r\nSet-Cookie: x"}, "Realm"},
		{"Adopt without AllowImported", memstore.New(), apikey.Options{Adopt: func(context.Context, apikey.Secret) (*apikey.Key, error) { return nil, apikey.ErrNotFound }}, "Adopt: apikey.Format(ak_, peppers: 0) does not accept imported keys"},
		{"a realm of 101 characters", memstore.New(), apikey.Options{Realm: strings.Repeat("r", 101)}, "Realm"},
	} {
		t.Run(test.name, func(t *testing.T) {
			auth, err := apikey.New(test.store, test.options)
			assert.Nil(t, auth)
			require.ErrorIs(t, err, apikey.ErrInvalid)
			assert.ErrorContains(t, err, test.wantError)
		})
	}
}

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

func TestAuthorize(t *testing.T) {
	t.Parallel()
	var verdict error
	var seen *http.Request
	var event apikey.Event
	s := newService(t, apikey.Options{
		Sources: []apikey.Source{apikey.Header("X-API-Key"), apikey.Bearer(), apikey.Query("api_key")},
		Authorize: func(r *http.Request, key *apikey.Key) error {
			seen = r
			if key.Name != "Backup job" {
				return errors.New("not this key")
			}
			return verdict
		},
		Observe: func(_ context.Context, e apikey.Event) { event = e },
	})
	t.Run("no error permits the key", func(t *testing.T) {
		assert.Equal(t, 200, get(s.handler, "/", "X-API-Key: "+s.valid).Code)
	})
	t.Run("an error is a 403, and the response does not contain it", func(t *testing.T) {
		w := get(s.handler, "/", "X-API-Key: "+s.other)
		assert.Equal(t, 403, w.Code)
		assert.NotContains(t, w.Body.String(), "not this key")
		assert.Equal(t, "forbidden", event.Outcome())
		assert.Equal(t, "Home automation", event.Key.Name)
		assert.ErrorContains(t, event.Err, "not this key")
	})
	t.Run("an error that wraps ErrUnavailable is a 503", func(t *testing.T) {
		verdict = fmt.Errorf("policy server: %w", apikey.ErrUnavailable)
		defer func() { verdict = nil }()
		assert.Equal(t, 503, get(s.handler, "/", "X-API-Key: "+s.valid).Code)
	})
	t.Run("Authorize is not called for invalid keys", func(t *testing.T) {
		seen = nil
		for _, key := range []string{s.revoked, s.expired, s.unknown, "nonsense"} {
			get(s.handler, "/", "X-API-Key: "+key)
		}
		assert.Nil(t, seen)
	})
	t.Run("the request of Authorize contains no key", func(t *testing.T) {
		get(s.handler, "/p?a=1&api_key="+s.valid+"&b=2", "X-API-Key: "+s.valid, "Authorization: Bearer "+s.valid, "Authorization: Basic dTpw")
		require.NotNil(t, seen)
		assert.NotContains(t, fmt.Sprintf("%v %v %v", seen.URL, seen.RequestURI, seen.Header), s.valid)
		assert.Equal(t, "/p?a=1&b=2", seen.RequestURI)
		assert.Equal(t, []string{"Bearer REDACTED", "Basic dTpw"}, seen.Header.Values("Authorization"))
		assert.Equal(t, "REDACTED", seen.Header.Get("X-API-Key"))
	})
	t.Run("the request of the handler keeps its header", func(t *testing.T) {
		s.auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			assert.Equal(t, s.valid, r.Header.Get("X-API-Key"))
		})).ServeHTTP(httptest.NewRecorder(), newRequest("/", "X-API-Key: "+s.valid))
	})
}

func TestVerify(t *testing.T) {
	t.Parallel()
	var event apikey.Event
	s := newService(t, apikey.Options{Observe: func(_ context.Context, e apikey.Event) { event = e }})
	for _, test := range []struct {
		name string
		key  string
		want error
	}{
		{"a valid key", s.valid, nil},
		{"no key", "", apikey.ErrMissing},
		{"a space", " ", apikey.ErrMissing},
		{"a malformed key", "x", apikey.ErrMalformed},
		{"an unknown key", s.unknown, apikey.ErrNotFound},
		{"a revoked key", s.revoked, apikey.ErrRevoked},
		{"an expired key", s.expired, apikey.ErrExpired},
	} {
		t.Run(test.name, func(t *testing.T) {
			key, err := s.auth.Verify(t.Context(), apikey.NewSecret(test.key))
			assert.ErrorIs(t, err, test.want)
			assert.ErrorIs(t, event.Err, test.want)
			if test.want == nil {
				assert.Equal(t, s.key.ID, key.ID)
			} else {
				assert.Nil(t, key)
			}
		})
	}
}

func TestMiddlewareCheck(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{Authorize: func(r *http.Request, _ *apikey.Key) error {
		if r.URL.Path == "/closed" {
			return errors.New("closed to keys")
		}
		return nil
	}})
	for name, r := range map[string]*http.Request{"header": newRequest("/", "X-API-Key: "+s.valid), "query": newRequest("/?api_key=" + s.valid)} {
		var admitted *http.Request
		serve(s.auth.Conceal(s.auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { admitted = r }))), r)
		key, err := s.auth.Check(admitted)
		require.NoError(t, err, name)
		require.Equal(t, s.key.ID, key.ID, name)
		closed := admitted.Clone(admitted.Context())
		closed.URL.Path = "/closed"
		_, err = s.auth.Check(closed)
		require.ErrorIs(t, err, apikey.ErrForbidden, name)
	}
	for _, test := range []struct {
		key  string
		want error
	}{{s.revoked, apikey.ErrRevoked}, {"", apikey.ErrMissing}, {s.unknown, apikey.ErrNotFound}, {"x", apikey.ErrMalformed}} {
		key, err := s.auth.Check(newRequest("/", "X-API-Key: "+test.key))
		require.ErrorIs(t, err, test.want)
		require.Nil(t, key)
	}
}
