package proxies

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/examples/internal/program"
)

func TestCachesStorePublicResponses(t *testing.T) {
	t.Parallel()
	s := newService(t)
	eachProxy(t, s.addr, func(t *testing.T, p *proxy) {
		before := s.served.Load()
		for range 3 {
			require.Equal(t, http.StatusOK, p.get(t, "/public").status)
		}
		if p.caches {
			assert.EqualValues(t, 1, s.served.Load()-before, "requests that reached the service")
		} else {
			assert.EqualValues(t, 3, s.served.Load()-before, "requests that reached the service")
		}
	})
}

// The response to the valid key comes first, so that a faulty cache would have stored it.
func TestCallersGetTheirOwnResponses(t *testing.T) {
	t.Parallel()
	s := newService(t)
	eachProxy(t, s.addr, func(t *testing.T, p *proxy) {
		for _, target := range []string{"/library", "/files/none.txt", "/proxied/page"} {
			t.Run(target, func(t *testing.T) {
				for name, send := range map[string]func(key string) response{
					"key in the header":       func(key string) response { return p.get(t, target, "X-API-Key: "+key) },
					"key in the other header": func(key string) response { return p.get(t, target, "X-Emby-Token: "+key) },
					"key in the query":        func(key string) response { return p.get(t, target+"?api_key="+key) },
				} {
					t.Run(name, func(t *testing.T) {
						first := send(s.good)
						assert.Less(t, first.status, 500)
						assert.NotEqual(t, http.StatusUnauthorized, first.status)
						assert.Equal(t, []string{"private"}, first.header["Cache-Control"])
						assert.Equal(t, http.StatusUnauthorized, send(s.wrong).status)
						assert.Equal(t, http.StatusUnauthorized, p.get(t, target).status)
						assert.Equal(t, first.status, send(s.good).status)
					})
				}
			})
		}
	})
}

func TestCachesDoNotStoreRefusals(t *testing.T) {
	t.Parallel()
	s := newService(t)
	eachProxy(t, s.addr, func(t *testing.T, p *proxy) {
		for range 2 {
			refused := p.get(t, "/library")
			assert.Equal(t, http.StatusUnauthorized, refused.status)
			assert.Equal(t, "no-store", refused.header.Get("Cache-Control"))
			assert.NotEmpty(t, refused.header.Get("Www-Authenticate"))
			assert.Equal(t, http.StatusBadRequest, p.get(t, "/library?api_key="+s.wrong, "X-API-Key: "+s.good).status)
		}
		assert.Equal(t, "the library of Backup job", p.get(t, "/library", "X-API-Key: "+s.good).body)
	})
}

// The response to a request without a key comes first, so that a faulty cache would have stored it.
func TestCallersDoNotGetAnonymousResponses(t *testing.T) {
	t.Parallel()
	s := newService(t)
	eachProxy(t, s.addr, func(t *testing.T, p *proxy) {
		for range 2 {
			assert.Equal(t, "hello ", p.get(t, "/optional").body)
		}
		assert.Equal(t, http.StatusUnauthorized, p.get(t, "/optional", "X-API-Key: "+s.wrong).status)
		assert.Equal(t, http.StatusUnauthorized, p.get(t, "/optional", "X-Emby-Token: "+s.wrong).status)
		assert.Equal(t, http.StatusUnauthorized, p.get(t, "/optional?api_key="+s.wrong).status)
		assert.Equal(t, "hello Backup job", p.get(t, "/optional", "X-API-Key: "+s.good).body)
		assert.Equal(t, "hello ", p.get(t, "/optional").body)
	})
}

func TestResponseAfter100ContinueIsPrivate(t *testing.T) {
	t.Parallel()
	s := newService(t)
	eachProxy(t, s.addr, func(t *testing.T, p *proxy) {
		for _, target := range []string{"/library", "/proxied/page"} {
			res := p.send(t, "POST", target+"?api_key="+s.good, "hello ", "Expect: 100-continue")
			assert.Equal(t, http.StatusOK, res.status)
			assert.True(t, strings.HasPrefix(res.body, "hello "), res.body)
			assert.Equal(t, []string{"private"}, res.header["Cache-Control"])
			assert.Equal(t, []string{"no-referrer"}, res.header["Referrer-Policy"])
		}
	})
}

func TestLogsShowNoKey(t *testing.T) {
	t.Parallel()
	s := newService(t)
	eachProxy(t, s.addr, func(t *testing.T, p *proxy) {
		for _, key := range []string{s.good, s.wrong} {
			p.get(t, "/library", "X-API-Key: "+key, "Referer: http://localhost/?api_key="+key)
			p.get(t, "/library", "X-Emby-Token: "+key, "Authorization: Bearer "+key)
			p.get(t, "/library?limit=5&api_key="+key)
			p.get(t, "/library?limit=5&Api%5FKey="+key)
			p.get(t, "/files/"+"?API_KEY="+key)
			p.get(t, "/public?api_key="+key)
			p.get(t, "/public?Api%5FKey="+key)
			p.get(t, "/public?X-Emby-Token="+key)
		}
		assertNoKey(t, p, s)
	})
}

func TestLogsShowNoKeyOfFailedRequests(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.server.Close()
	eachProxy(t, s.addr, func(t *testing.T, p *proxy) {
		// One request with both keys, because HAProxy tries to connect for three seconds.
		assert.GreaterOrEqual(t, p.get(t, "/library?api_key="+s.good, "X-API-Key: "+s.wrong).status, 502)
		assertNoKey(t, p, s)
	})
}

// assertNoKey stops the proxy, because its logs are complete only then, and checks them.
func assertNoKey(t *testing.T, p *proxy, s *service) {
	t.Helper()
	p.stop()
	all := p.written(t)
	assert.True(t, strings.Contains(all, "/library"), "the log contains no request")
	for _, key := range []string{s.good, s.wrong} {
		assert.False(t, strings.Contains(all, key[len(key)-20:]), "a log shows the end of the key %s", key)
	}
}

func TestMediaServerWorksBehindEachProxy(t *testing.T) {
	t.Parallel()
	server := program.StartIn(t, "../mediaserver", "-addr", "localhost:0", "-db", filepath.Join(t.TempDir(), "keys.db"))
	base, _, _ := strings.Cut(strings.TrimPrefix(server.Line("Listening on "), "Listening on "), ",")
	key := server.Line("ak_")
	eachProxy(t, strings.TrimPrefix(base, "http://"), func(t *testing.T, p *proxy) {
		for _, test := range []struct {
			name, target string
			lines        []string
			status       int
		}{
			{"the key in the header", "/emby/System/Info", []string{"X-Emby-Token: " + key}, 200},
			{"a wrong key in the header", "/emby/System/Info", []string{"X-Emby-Token: " + key[1:]}, 401},
			{"the key in the query", "/emby/System/Info?api_key=" + key, nil, 200},
			{"a wrong key in the query", "/emby/System/Info?api_key=" + key[1:], nil, 401},
			{"no key", "/emby/System/Info", nil, 401},
			{"two keys", "/emby/System/Info?api_key=" + key[1:], []string{"X-Emby-Token: " + key}, 400},
			{"a public path", "/System/Info/Public", nil, 200},
			{"the key in the header, again", "/emby/System/Info", []string{"X-Emby-Token: " + key}, 200},
		} {
			t.Run(test.name, func(t *testing.T) {
				got := p.get(t, test.target, test.lines...)
				assert.Equal(t, test.status, got.status, got.body)
			})
		}
		p.stop()
		assert.False(t, strings.Contains(p.written(t), key[3:]), "a log or the cache contains the key")
	})
}
