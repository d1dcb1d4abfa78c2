package apikey_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
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
	t.Run("a client that goes away", func(t *testing.T) {
		var log bytes.Buffer
		var event apikey.Event
		ctx, cancel := context.WithCancel(t.Context())
		auth, err := apikey.New(storeFunc(func(ctx context.Context, _ apikey.Digest) (*apikey.Key, error) {
			cancel()
			return nil, ctx.Err()
		}), apikey.Options{
			Logger:  slog.New(slog.NewTextHandler(&log, nil)),
			Observe: func(_ context.Context, e apikey.Event) { event = e },
		})
		require.NoError(t, err)
		w := serve(auth.Handler(mustNotServe(t)), newRequest("/", "X-API-Key: "+good).WithContext(ctx))
		assert.Equal(t, 503, w.Code)
		assert.Equal(t, "canceled", event.Outcome())
		assert.ErrorIs(t, event.Err, apikey.ErrUnavailable)
		assert.Empty(t, log.String(), "no outage")
	})
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
}

func TestTheHandlersRequest(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	var seen *http.Request
	h := s.auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r }))
	for _, test := range []struct{ name, target, want string }{
		{"the key alone", "/p?api_key={K}", "/p"},
		{"the key first", "/p?api_key={K}&a=1&b=2", "/p?a=1&b=2"},
		{"the key last", "/p?a=1&b=2&api_key={K}", "/p?a=1&b=2"},
		{"the key between", "/p?a=1&api_key={K}&b=2", "/p?a=1&b=2"},
		{"the key twice", "/p?api_key={K}&a=1&API_KEY={K}", "/p?a=1"},
		{"an escaped name", "/p?%61pi_key={K}&a=1", "/p?a=1"},
		{"an empty one beside the key", "/p?api_key=&a=1&api_key={K}", "/p?a=1"},
		{"other parameters keep their bytes", "/p?z=%7e&y=a+b&api_key={K}&x=%zz;&&w", "/p?z=%7e&y=a+b&x=%zz;&&w"},
		{"a question mark that is a value's", "/p?a=?&api_key={K}", "/p?a=?"},
		{"a path that is escaped", "/a%2Fb?api_key={K}", "/a%2Fb"},
		{"an absolute URI", "http://example.com/p?api_key={K}&a=1", "http://example.com/p?a=1"},
	} {
		t.Run("query: "+test.name, func(t *testing.T) {
			r := newRequest(s.fill(test.target))
			target, url := r.RequestURI, *r.URL
			w := serve(h, r)
			require.Equal(t, 200, w.Code)
			assert.Equal(t, test.want, seen.RequestURI)
			_, query, _ := strings.Cut(test.want, "?")
			assert.Equal(t, query, seen.URL.RawQuery)
			assert.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"))
			assert.Equal(t, target, r.RequestURI, "the request outside is as it was")
			assert.Equal(t, url, *r.URL, "the request outside is as it was")
		})
	}
	t.Run("a Form that was parsed before loses the key, but not what the body had", func(t *testing.T) {
		r := httptest.NewRequest("POST", s.fill("/p?api_key={K}&a=1"), strings.NewReader("api_key=body&b=2"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		require.NoError(t, r.ParseForm())
		serve(h, r)
		assert.Equal(t, map[string][]string{"api_key": {"body"}, "a": {"1"}, "b": {"2"}}, map[string][]string(seen.Form))
		assert.Equal(t, []string{"body", s.good}, r.Form["api_key"], "the request outside is as it was")
	})
	t.Run("a URL that was rewritten and a RequestURI that was not lose the key both", func(t *testing.T) {
		strip := http.StripPrefix("/v1", h)
		r := newRequest(s.fill("/v1/p?api_key={K}&a=1"))
		r.URL.RawQuery += "&added=1"
		serve(strip, r)
		assert.Equal(t, "/v1/p?a=1", seen.RequestURI)
		assert.Equal(t, "/p?a=1&added=1", seen.URL.String())
	})
	t.Run("a redirect that a mux makes has no key", func(t *testing.T) {
		mux := http.NewServeMux()
		mux.HandleFunc("/dir/", func(http.ResponseWriter, *http.Request) {})
		w := get(s.auth.Handler(mux), s.fill("/dir?a=1&api_key={K}"))
		assert.Equal(t, "/dir/?a=1", w.Header().Get("Location"))
	})
	t.Run("headers that look like an identity are not one", func(t *testing.T) {
		w := get(s.handler, "/", "X-API-Key: "+s.good, "X-User: admin", "X-Api-Key-Id: admin", "X-Forwarded-User: admin")
		assert.Equal(t, s.key.ID, w.Body.String())
		assert.Equal(t, 401, get(s.handler, "/", "X-User: admin", "X-Api-Key-Id: "+s.key.ID).Code)
	})
	t.Run("the ResponseWriter is passed on as it is", func(t *testing.T) {
		recorder := httptest.NewRecorder()
		s.auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			assert.Same(t, recorder, w)
		})).ServeHTTP(recorder, newRequest("/", "X-API-Key: "+s.good))
	})
	t.Run("the pattern of the route is known outside", func(t *testing.T) {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /items/{id}", func(http.ResponseWriter, *http.Request) {})
		r := newRequest("/items/7", "X-API-Key: "+s.good)
		serve(s.auth.Handler(mux), r)
		assert.Equal(t, "GET /items/{id}", r.Pattern)
	})
}

func TestTemporaryFilesOfAFormAreRemoved(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	for name, middleware := range map[string]func(http.Handler) http.Handler{
		"behind Handler":             s.auth.Handler,
		"behind Conceal and Handler": func(h http.Handler) http.Handler { return s.auth.Conceal(s.auth.Handler(h)) },
	} {
		t.Run(name, func(t *testing.T) {
			var file string
			server := httptest.NewServer(middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				assert.NoError(t, r.ParseMultipartForm(0))
				f, err := r.MultipartForm.File["f"][0].Open()
				if assert.NoError(t, err) {
					file = f.(*os.File).Name()
					f.Close()
				}
			})))
			var body bytes.Buffer
			form := multipart.NewWriter(&body)
			part, err := form.CreateFormFile("f", "f.bin")
			require.NoError(t, err)
			part.Write(make([]byte, 1<<16))
			form.Close()
			res, err := http.Post(server.URL+"/?api_key="+s.good, form.FormDataContentType(), &body)
			require.NoError(t, err)
			res.Body.Close()
			server.Close() // waits for the request to be finished with
			require.NotEmpty(t, file)
			assert.NoFileExists(t, file)
		})
	}
}

func TestCacheControl(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	t.Run("responses to keys in headers are private", func(t *testing.T) {
		w := get(s.handler, "/", "X-Emby-Token: "+s.good)
		assert.Equal(t, []string{"private"}, w.Header().Values("Cache-Control"))
		assert.Empty(t, w.Header().Get("Referrer-Policy"))
	})
	t.Run("responses to keys in the query are private", func(t *testing.T) {
		w := get(s.handler, "/?api_key="+s.good)
		assert.Equal(t, []string{"private"}, w.Header().Values("Cache-Control"))
	})
	t.Run("what was set outside stays", func(t *testing.T) {
		w := httptest.NewRecorder()
		w.Header().Set("Cache-Control", "no-store")
		s.handler.ServeHTTP(w, newRequest("/", "X-API-Key: "+s.good))
		assert.Equal(t, []string{"no-store"}, w.Header().Values("Cache-Control"))
	})
	t.Run("one response's value is not another's", func(t *testing.T) {
		first := get(s.handler, "/?api_key="+s.good)
		first.Header()["Cache-Control"][0] = "public"
		first.Header()["Referrer-Policy"][0] = "unsafe-url"
		second := get(s.handler, "/?api_key="+s.good)
		assert.Equal(t, "private", second.Header().Get("Cache-Control"))
		assert.Equal(t, "no-referrer", second.Header().Get("Referrer-Policy"))
	})
	t.Run("refusals are not stored", func(t *testing.T) {
		w := httptest.NewRecorder()
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("Content-Length", "7")
		s.handler.ServeHTTP(w, newRequest("/"))
		assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		assert.Empty(t, w.Header().Get("Content-Length"))
	})
}

func TestOptional(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	whoever := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, ok := apikey.FromContext(r.Context())
		fmt.Fprint(w, key.ID, ok)
	})
	mux := http.NewServeMux()
	mux.Handle("/open", whoever)
	mux.Handle("/closed", s.auth.Handler(whoever))
	mux.Handle("/scoped", apikey.Require("library:read")(whoever))
	h := s.auth.Optional(mux)
	elsewhere := newService(t, apikey.Options{})
	for _, test := range []struct {
		name   string
		h      http.Handler
		target string
		status int
		body   string
	}{
		{"no key is served", h, "/open", 200, "false"},
		{"a valid key is known", h, "/open?api_key={K}", 200, s.key.ID + "true"},
		{"a wrong key is refused", h, "/open?api_key={W}", 401, ""},
		{"two keys are refused", h, "/open?api_key={K}&api_key={O}", 400, ""},
		{"Handler behind it refuses without a key", h, "/closed", 401, ""},
		{"Handler behind it accepts the query's key that is already gone", h, "/closed?api_key={K}", 200, s.key.ID + "true"},
		{"Require behind it refuses without a key", h, "/scoped", 401, ""},
		{"Require behind it accepts", h, "/scoped?api_key={K}", 200, s.key.ID + "true"},
		{"Handler of another Middleware does not accept what this one did", s.auth.Handler(elsewhere.auth.Handler(whoever)), "/?api_key={K}", 401, ""},
		{"Optional of another Middleware leaves the identity", s.auth.Handler(elsewhere.auth.Optional(whoever)), "/?api_key={K}", 200, s.key.ID + "true"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := get(test.h, s.fill(test.target))
			assert.Equal(t, test.status, w.Code)
			if test.status == 200 {
				assert.Equal(t, test.body, w.Body.String())
			}
		})
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	preflight := []string{"Origin: https://app.example", "Access-Control-Request-Method: GET"}
	for _, test := range []struct {
		name   string
		allow  bool
		method string
		lines  []string
		status int
	}{
		{"a preflight passes where that is allowed", true, "OPTIONS", preflight, 200},
		{"a preflight needs a key elsewhere", false, "OPTIONS", preflight, 401},
		{"OPTIONS without Origin needs a key", true, "OPTIONS", preflight[1:], 401},
		{"OPTIONS without Access-Control-Request-Method needs a key", true, "OPTIONS", preflight[:1], 401},
		{"GET with a preflight's headers needs a key", true, "GET", preflight, 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t, apikey.Options{AllowPreflight: test.allow})
			r := newRequest("/?api_key=wrong", test.lines...)
			r.Method = test.method
			var seen *http.Request
			w := serve(s.auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen = r })), r)
			assert.Equal(t, test.status, w.Code)
			assert.Zero(t, s.store.lookups.Load())
			if test.status == 200 {
				_, known := apikey.FromContext(seen.Context())
				assert.False(t, known, "no identity")
				assert.Equal(t, "/", seen.RequestURI, "no key")
			}
		})
	}
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

func TestTouch(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	lastUse := func(s *service) time.Time {
		key, err := s.store.Get(t.Context(), s.key.ID)
		require.NoError(t, err)
		return key.LastUsedAt
	}
	t.Run("a refused key is not used", func(t *testing.T) {
		forbid, err := apikey.New(s.store, apikey.Options{Authorize: func(*http.Request, *apikey.Key) error { return errors.New("no") }})
		require.NoError(t, err)
		get(forbid.Handler(http.NotFoundHandler()), "/", "X-API-Key: "+s.good)
		get(s.handler, "/", "X-API-Key: "+s.good, "X-API-Key: "+s.other)
		assert.Zero(t, lastUse(s))
	})
	t.Run("an accepted key is", func(t *testing.T) {
		get(s.handler, "/", "X-API-Key: "+s.good)
		assert.WithinDuration(t, time.Now(), lastUse(s), time.Minute)
	})
	t.Run("a wrapper does not hide it", func(t *testing.T) {
		s := newService(t, apikey.Options{})
		auth, err := apikey.New(wrapper{wrapper{s.store}}, apikey.Options{})
		require.NoError(t, err)
		get(auth.Handler(http.NotFoundHandler()), "/", "X-API-Key: "+s.good)
		assert.NotZero(t, lastUse(s))
	})
}

// A wrapper is a store around another, as a cache or a metric is.
type wrapper struct{ inner apikey.KeyStore }

func (w wrapper) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	return w.inner.Lookup(ctx, d)
}
func (w wrapper) Unwrap() apikey.KeyStore { return w.inner }

func TestStoreAs(t *testing.T) {
	t.Parallel()
	inner := memstore.New()
	found, ok := apikey.StoreAs[apikey.KeyManager](wrapper{wrapper{inner}})
	assert.True(t, ok)
	assert.Same(t, inner, found)
	_, ok = apikey.StoreAs[apikey.Auditor](wrapper{inner})
	assert.False(t, ok, "an interface that nobody has")
	_, ok = apikey.StoreAs[apikey.Toucher](wrapper{nil})
	assert.False(t, ok, "a wrapper around nothing")
	_, ok = apikey.StoreAs[apikey.Toucher](nil)
	assert.False(t, ok, "nothing")
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

func TestIdentitiesDoNotMix(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	var wg sync.WaitGroup
	var mixed atomic.Int64
	for range 16 {
		secret, key := s.issue(t, apikey.Key{Name: "Caller", Scopes: []string{"own"}})
		wg.Go(func() {
			for i := range 200 {
				r := newRequest("/?api_key=" + secret)
				if i%2 == 0 {
					r = newRequest("/", "X-API-Key: "+secret)
				}
				if serve(s.handler, r).Body.String() != key.ID {
					mixed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	assert.Zero(t, mixed.Load())
}

func TestTheRequestHoldsNoSecret(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	sum, err := s.issuer.Format().Digest(apikey.NewSecret(s.good))
	require.NoError(t, err)
	// A function, so that the dump does not go on into the store.
	auth, err := apikey.New(storeFunc(s.store.Lookup), apikey.Options{})
	require.NoError(t, err)
	h := auth.Conceal(auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		dump := dumpOf(r, &http.Request{})
		assert.Contains(t, dump, s.key.Name, "the dump shows the identity")
		assert.NotContains(t, dump, s.good[:33])
		assert.NotContains(t, dump, fmt.Sprintf("% x", sum[:8]))
		io.WriteString(w, "served")
	})))
	assert.Equal(t, "served", get(h, "/p?a=1&api_key="+s.good).Body.String())
}
