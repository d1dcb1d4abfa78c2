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

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		store   apikey.KeyStore
		options apikey.Options
		says    string
	}{
		{"no store", nil, apikey.Options{}, "KeyStore: nil"},
		{"a nil pointer as the store", (*memstore.Store)(nil), apikey.Options{}, "KeyStore: nil"},
		{"a nil function as the store", storeFunc(nil), apikey.Options{}, "KeyStore: nil"},
		{"a realm that ends its quotes", memstore.New(), apikey.Options{Realm: `a", error="b`}, "Realm"},
		{"a realm with a line break", memstore.New(), apikey.Options{Realm: "a\r\nSet-Cookie: x"}, "Realm"},
		{"a realm of 101 characters", memstore.New(), apikey.Options{Realm: strings.Repeat("r", 101)}, "Realm"},
	} {
		t.Run(test.name, func(t *testing.T) {
			auth, err := apikey.New(test.store, test.options)
			assert.Nil(t, auth)
			require.ErrorIs(t, err, apikey.ErrInvalid)
			assert.ErrorContains(t, err, test.says)
		})
	}
}

func TestDecision(t *testing.T) {
	t.Parallel()
	var events []apikey.Event
	s := newService(t, apikey.Options{Observe: func(_ context.Context, e apikey.Event) { events = append(events, e) }})
	digest := func(key string) apikey.Digest {
		d, err := s.issuer.Format().Digest(apikey.NewSecret(key))
		require.NoError(t, err)
		return d
	}(s.good)
	last := s.good[len(s.good)-1:]
	otherCase := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, s.good[3:])
	for _, test := range []struct {
		name    string
		key     string
		status  int
		outcome string
		lookups int64
	}{
		{"a valid key is accepted", s.good, 200, "accepted", 1},
		{"a revoked key", s.revoked, 401, "revoked", 1},
		{"an expired key", s.expired, 401, "expired", 1},
		{"a well-formed key of another store", s.unknown, 401, "unknown", 1},
		{"one character less", s.good[:len(s.good)-1], 401, "malformed", 0},
		{"one character more", s.good + last, 401, "malformed", 0},
		{"the other case", "ak_" + otherCase, 401, "malformed", 0},
		{"the prefix in the other case", "AK_" + s.good[3:], 401, "malformed", 0},
		{"wrong check characters", s.good[:33] + "zzzzzz", 401, "malformed", 0},
		{"another prefix", "sk_" + s.good[3:], 401, "malformed", 0},
		{"the stored digest in hexadecimal", fmt.Sprintf("%x", digest), 401, "malformed", 0},
		{"the stored digest itself", string(digest[:]), 401, "malformed", 0},
		{"the ID of the key", s.key.ID, 401, "malformed", 0},
		{"a NUL", s.good[:39-1] + "\x00", 401, "malformed", 0},
		{"a tab inside", s.good[:10] + "\t" + s.good[11:], 401, "malformed", 0},
		{"a byte that is no UTF-8", s.good[:10] + "\xff" + s.good[11:], 401, "malformed", 0},
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
				assert.Equal(t, served, s.served.Load(), "handler not called")
			}
			require.Len(t, events, 1, "one event a decision")
			assert.Equal(t, test.outcome, events[0].Outcome())
		})
	}
}

// What a thief of the database has opens nothing, also where any 64 characters may be a key.
func TestADigestOpensNothingWhereForeignKeysAreAllowed(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]apikey.FormatOptions{
		"without a pepper": {AllowForeign: true},
		"with a pepper":    {AllowForeign: true, Peppers: []apikey.Secret{pepper("1")}},
	} {
		s := newService(t, apikey.Options{Format: newFormat(t, "ak", o)})
		const legacy = "Legacy0123456789"
		_, err := s.issuer.Import(t.Context(), apikey.NewSecret(legacy), apikey.Key{Name: "Old hub"})
		require.NoError(t, err)
		require.Equal(t, 200, get(s.handler, "/", "X-API-Key: "+legacy).Code)
		assert.Equal(t, 401, get(s.handler, "/", "X-API-Key: "+strings.ToLower(legacy)).Code, "%s: the other case", name)
		for _, key := range []string{s.good, legacy} {
			d, err := s.issuer.Format().Digest(apikey.NewSecret(key))
			require.NoError(t, err)
			assert.Equal(t, 401, get(s.handler, "/", fmt.Sprintf("X-API-Key: %x", d)).Code, name)
			assert.Equal(t, 401, get(s.handler, "/", fmt.Sprintf("X-API-Key: %X", d)).Code, name)
		}
	}
}

func TestRefusalsOfKeysAreByteIdentical(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{Realm: "media"})
	dump := func(lines ...string) string {
		var b bytes.Buffer
		w := get(s.handler, "/", lines...)
		fmt.Fprintln(&b, w.Code)
		w.Result().Header.Write(&b)
		b.Write(w.Body.Bytes())
		return b.String()
	}
	missing := dump()
	for name, key := range map[string]string{
		"malformed": "nonsense", "unknown": s.unknown, "revoked": s.revoked, "expired": s.expired,
		"wrong check characters": s.good[:33] + "000000",
	} {
		assert.Equal(t, missing, dump("X-API-Key: "+key), name)
	}
	assert.Contains(t, missing, "Www-Authenticate: ApiKey realm=\"media\"\r\n")
}

func TestStoreThatCannotAnswer(t *testing.T) {
	t.Parallel()
	good := newService(t, apikey.Options{}).good
	outage := errors.New("connection refused to 10.0.0.7")
	for _, test := range []struct {
		name    string
		lookup  storeFunc
		status  int
		outcome string
	}{
		{"an error", func(context.Context, apikey.Digest) (*apikey.Key, error) { return nil, outage }, 503, "unavailable"},
		{"a timeout", func(context.Context, apikey.Digest) (*apikey.Key, error) { return nil, context.DeadlineExceeded }, 503, "unavailable"},
		{"neither key nor error", func(context.Context, apikey.Digest) (*apikey.Key, error) { return nil, nil }, 503, "unavailable"},
		{"a key beside an error", func(context.Context, apikey.Digest) (*apikey.Key, error) { return &apikey.Key{ID: "x"}, outage }, 503, "unavailable"},
		{"canceled though the request was not", func(context.Context, apikey.Digest) (*apikey.Key, error) { return nil, context.Canceled }, 503, "unavailable"},
		{"ErrNotFound, wrapped", func(context.Context, apikey.Digest) (*apikey.Key, error) {
			return nil, fmt.Errorf("table keys: %w", apikey.ErrNotFound)
		}, 401, "unknown"},
		{"ErrUnavailable that wraps ErrNotFound", func(context.Context, apikey.Digest) (*apikey.Key, error) {
			return nil, fmt.Errorf("%w: replica: %w", apikey.ErrUnavailable, apikey.ErrNotFound)
		}, 503, "unavailable"},
		{"a key beside ErrNotFound", func(context.Context, apikey.Digest) (*apikey.Key, error) {
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
			w := get(auth.Handler(mustNotServe(t)), "/", "X-API-Key: "+good)
			assert.Equal(t, test.status, w.Code)
			assert.Equal(t, test.outcome, event.Outcome())
			assert.NotContains(t, w.Body.String(), "10.0.0.7", "the cause is not shown")
			if test.status == 503 {
				assert.NotEmpty(t, w.Header().Get("Retry-After"))
				assert.Contains(t, log.String(), "level=ERROR", "operators are told")
			} else {
				assert.Empty(t, log.String())
			}
		})
	}
	t.Run("a store that panics", func(t *testing.T) {
		auth, err := apikey.New(storeFunc(func(context.Context, apikey.Digest) (*apikey.Key, error) { panic("broken") }), apikey.Options{})
		require.NoError(t, err)
		assert.Panics(t, func() { get(auth.Handler(mustNotServe(t)), "/", "X-API-Key: "+good) })
	})
}

func TestAClientThatGoesAwayIsNoOutage(t *testing.T) {
	t.Parallel()
	good := newService(t, apikey.Options{}).good
	hungUp := errors.New("hung up")
	for _, test := range []struct {
		name      string
		lookup    func(context.Context) error // once the client has gone
		authorize func(context.Context) error
		outcome   string
	}{
		{"a store that returns the context's error", context.Context.Err, nil, "canceled"},
		{"a store that returns an error of its own", func(context.Context) error { return errors.New("connection closed") }, nil, "canceled"},
		{"a store that wraps it in ErrUnavailable", func(ctx context.Context) error { return fmt.Errorf("%w: %w", apikey.ErrUnavailable, ctx.Err()) }, nil, "canceled"},
		{"Authorize that returns it", nil, context.Context.Err, "canceled"},
		{"a store that is down all the same", func(context.Context) error { return fmt.Errorf("%w: down", apikey.ErrUnavailable) }, nil, "unavailable"},
		{"Authorize that refuses all the same", nil, func(context.Context) error { return errors.New("not you") }, "forbidden"},
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
					cancel(hungUp)
					return test.authorize(r.Context())
				}
			}
			auth, err := apikey.New(storeFunc(func(ctx context.Context, _ apikey.Digest) (*apikey.Key, error) {
				if test.lookup == nil {
					return &apikey.Key{ID: "x"}, nil
				}
				cancel(hungUp)
				return nil, test.lookup(ctx)
			}), o)
			require.NoError(t, err)
			serve(auth.Handler(mustNotServe(t)), newRequest("/", "X-API-Key: "+good).WithContext(ctx))
			assert.Equal(t, test.outcome, event.Outcome())
			if test.outcome == "canceled" {
				assert.ErrorIs(t, event.Err, apikey.ErrUnavailable)
				assert.ErrorIs(t, event.Err, hungUp, "the cause")
				assert.Empty(t, log.String())
			}
		})
	}
}

func mustNotServe(t *testing.T) http.Handler {
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") })
}

func TestExpiryFollowsTheClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, apikey.Options{})
		key, _ := s.issue(t, apikey.Key{Name: "Trial", ExpiresAt: time.Now().Add(time.Hour)})
		status := func() int { return get(s.handler, "/", "X-API-Key: "+key).Code }
		assert.Equal(t, 200, status())
		time.Sleep(time.Hour - time.Microsecond)
		assert.Equal(t, 200, status(), "a microsecond before ExpiresAt")
		time.Sleep(time.Microsecond)
		assert.Equal(t, 401, status(), "at ExpiresAt")
	})
}

func TestAClockThatWasSetBackIsSurvived(t *testing.T) {
	t.Parallel()
	// What was created and last used in the future is a key like another.
	future := time.Now().Add(24 * time.Hour)
	var event apikey.Event
	auth, err := apikey.New(storeFunc(func(context.Context, apikey.Digest) (*apikey.Key, error) {
		return &apikey.Key{ID: "future", Name: "From the future", CreatedAt: future, LastUsedAt: future}, nil
	}), apikey.Options{Observe: func(_ context.Context, e apikey.Event) { event = e }})
	require.NoError(t, err)
	_, err = auth.Verify(t.Context(), apikey.NewSecret(newService(t, apikey.Options{}).good))
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
				return errors.New("not you")
			}
			return verdict
		},
		Observe: func(_ context.Context, e apikey.Event) { event = e },
	})
	t.Run("nil permits", func(t *testing.T) {
		assert.Equal(t, 200, get(s.handler, "/", "X-API-Key: "+s.good).Code)
	})
	t.Run("an error is a 403 that does not show it", func(t *testing.T) {
		w := get(s.handler, "/", "X-API-Key: "+s.other)
		assert.Equal(t, 403, w.Code)
		assert.NotContains(t, w.Body.String(), "not you")
		assert.Equal(t, "forbidden", event.Outcome())
		assert.Equal(t, "Home automation", event.Key.Name)
		assert.ErrorContains(t, event.Err, "not you")
	})
	t.Run("an error that wraps ErrUnavailable is a 503", func(t *testing.T) {
		verdict = fmt.Errorf("policy server: %w", apikey.ErrUnavailable)
		defer func() { verdict = nil }()
		assert.Equal(t, 503, get(s.handler, "/", "X-API-Key: "+s.good).Code)
	})
	t.Run("it is not asked about keys that are refused anyway", func(t *testing.T) {
		seen = nil
		for _, key := range []string{s.revoked, s.expired, s.unknown, "nonsense"} {
			get(s.handler, "/", "X-API-Key: "+key)
		}
		assert.Nil(t, seen)
	})
	t.Run("its request carries no key", func(t *testing.T) {
		get(s.handler, "/p?a=1&api_key="+s.good+"&b=2", "X-API-Key: "+s.good, "Authorization: Bearer "+s.good, "Authorization: Basic dTpw")
		require.NotNil(t, seen)
		assert.NotContains(t, fmt.Sprintf("%v %v %v", seen.URL, seen.RequestURI, seen.Header), s.good)
		assert.Equal(t, "/p?a=1&b=2", seen.RequestURI)
		assert.Equal(t, []string{"Basic dTpw"}, seen.Header.Values("Authorization"))
	})
	t.Run("the handler's request keeps its header", func(t *testing.T) {
		s.auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			assert.Equal(t, s.good, r.Header.Get("X-API-Key"))
		})).ServeHTTP(httptest.NewRecorder(), newRequest("/", "X-API-Key: "+s.good))
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
		{"a valid key", s.good, nil},
		{"no key", "", apikey.ErrMissing},
		{"a blank", " ", apikey.ErrMissing},
		{"a misshapen key", "x", apikey.ErrMalformed},
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
		r := newRequest("/p", "X-Emby-Token: "+s.good)
		serve(auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second) })), r)
		serve(auth.Handler(mustNotServe(t)), newRequest("/p", "X-API-Key: "+s.revoked))
		serve(auth.Handler(mustNotServe(t)), newRequest("/p"))
		require.Len(t, events, 3, "one event a decision")

		assert.Equal(t, "accepted", events[0].Outcome())
		assert.Equal(t, s.key.ID, events[0].Key.ID)
		assert.Equal(t, "header X-Emby-Token", events[0].Source)
		assert.Equal(t, "GET", events[0].Method)
		assert.Equal(t, r.RemoteAddr, events[0].RemoteAddr)
		assert.Equal(t, 7*time.Millisecond, events[0].Duration, "the store and Authorize, not the handler")

		assert.Equal(t, "revoked", events[1].Outcome())
		assert.Equal(t, "Lost phone", events[1].Key.Name, "whose key it was")
		assert.Equal(t, 3*time.Millisecond, events[1].Duration)

		assert.Equal(t, "missing", events[2].Outcome())
		assert.Nil(t, events[2].Key)
		assert.Empty(t, events[2].Source)
	})
}
