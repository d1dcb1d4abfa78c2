package leak_test

import (
	"context"
	"crypto/elliptic"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/leak"
)

// keyringTest runs a test with an endpoint, whose GitHub has the key "1", in a bubble.
func keyringTest(t *testing.T, test func(t *testing.T, g *fakeGitHub, status func(signer) int)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := &fakeGitHub{}
		h := newService(t, apikey.FormatOptions{}).endpoint(g)
		test(t, g, func(s signer) int { return serve(h, s.request(t, `[]`)).Code })
	})
}

func TestPublicKeysAreFetchedAgainAfterThirtyMinutes(t *testing.T) {
	t.Parallel()
	gh := newSigner(t, "1", elliptic.P256())
	keyringTest(t, func(t *testing.T, g *fakeGitHub, status func(signer) int) {
		g.publish(t, gh)
		for range 3 {
			require.Equal(t, 200, status(gh))
		}
		require.Equal(t, 1, g.count())
		time.Sleep(30*time.Minute - time.Nanosecond)
		require.Equal(t, 200, status(gh))
		require.Equal(t, 1, g.count())
		time.Sleep(time.Nanosecond)
		require.Equal(t, 200, status(gh))
		require.Equal(t, 2, g.count())
	})
}

func TestForgedIdentifiersFetchPublicKeysOnceAMinute(t *testing.T) {
	t.Parallel()
	gh := newSigner(t, "1", elliptic.P256())
	keyringTest(t, func(t *testing.T, g *fakeGitHub, status func(signer) int) {
		g.publish(t, gh)
		for minute := range 5 {
			for i := range 60 {
				want := 503
				if i == 0 { // GitHub was asked for this one
					want = 403
				}
				require.Equal(t, want, status(signer{fmt.Sprint("forged-", minute, i), gh.key}))
				time.Sleep(time.Second)
			}
			require.Equal(t, minute+1, g.count())
		}
		require.Equal(t, 200, status(gh), "the real key stays in use")
	})
}

func TestForgedIdentifiersDuringAnOutageFetchPublicKeysOnceAMinute(t *testing.T) {
	t.Parallel()
	gh := newSigner(t, "1", elliptic.P256())
	keyringTest(t, func(t *testing.T, g *fakeGitHub, status func(signer) int) {
		g.fail(0, errDown)
		for range 120 {
			require.Equal(t, 503, status(gh))
			time.Sleep(time.Second)
		}
		require.Equal(t, 2, g.count())
		g.publish(t, gh)
		g.fail(0, nil)
		require.Equal(t, 200, status(gh))
	})
}

func TestANewIdentifierIsFetched(t *testing.T) {
	t.Parallel()
	old, fresh := newSigner(t, "1", elliptic.P256()), newSigner(t, "2", elliptic.P256())
	keyringTest(t, func(t *testing.T, g *fakeGitHub, status func(signer) int) {
		g.publish(t, old)
		require.Equal(t, 200, status(old))
		g.publish(t, fresh)
		time.Sleep(time.Minute)
		require.Equal(t, 200, status(fresh))
		require.Equal(t, 403, status(old), "a key that GitHub has withdrawn")
	})
}

func TestANewIdentifierWithinAMinuteOfAFetchIsSentAgain(t *testing.T) {
	t.Parallel()
	old, fresh := newSigner(t, "1", elliptic.P256()), newSigner(t, "2", elliptic.P256())
	keyringTest(t, func(t *testing.T, g *fakeGitHub, status func(signer) int) {
		g.publish(t, old)
		require.Equal(t, 200, status(old))
		time.Sleep(time.Second)
		g.publish(t, fresh)
		require.Equal(t, 503, status(fresh), "the endpoint does not know whether GitHub has the key")
		time.Sleep(time.Minute)
		require.Equal(t, 200, status(fresh))
	})
}

func TestPublicKeysRemainInUseForADayWhenGitHubDoesNotAnswer(t *testing.T) {
	t.Parallel()
	gh := newSigner(t, "1", elliptic.P256())
	for name, fail := range map[string]func(*fakeGitHub){
		"an error":              func(g *fakeGitHub) { g.fail(0, errDown) },
		"a rate limit":          func(g *fakeGitHub) { g.fail(429, nil) },
		"a redirect":            func(g *fakeGitHub) { g.fail(302, nil) },
		"304 without a request": func(g *fakeGitHub) { g.fail(304, nil) },
		"no JSON":               func(g *fakeGitHub) { g.body = "<html>" },
		"an empty list":         func(g *fakeGitHub) { g.body = `{"public_keys":[]}` },
		"no key of P-256":       func(g *fakeGitHub) { g.publish(t, newSigner(t, "1", elliptic.P384())) },
		"a key without PEM":     func(g *fakeGitHub) { g.body = `{"public_keys":[{"key_identifier":"1","key":"x"}]}` },
		"more than 100 keys":    func(g *fakeGitHub) { g.publish(t, manySigners(gh, 101)...) },
		"more than a MiB":       func(g *fakeGitHub) { g.body = strings.Repeat(" ", 1<<20) + g.body },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keyringTest(t, func(t *testing.T, g *fakeGitHub, status func(signer) int) {
				g.publish(t, gh)
				require.Equal(t, 200, status(gh))
				fail(g)
				time.Sleep(24*time.Hour - time.Nanosecond)
				require.Equal(t, 200, status(gh))
				require.Equal(t, 503, status(signer{"2", gh.key}), "an unknown key may be a new one")
				time.Sleep(time.Nanosecond)
				require.Equal(t, 503, status(gh))
			})
		})
	}
}

func manySigners(s signer, n int) (all []signer) {
	for i := range n {
		all = append(all, signer{fmt.Sprint(i), s.key})
	}
	return all
}

func TestPublicKeysAreFetchedConditionally(t *testing.T) {
	t.Parallel()
	gh := newSigner(t, "1", elliptic.P256())
	synctest.Test(t, func(t *testing.T) {
		g := newFakeGitHub(t, gh)
		g.etag = `"v1"`
		h := newService(t, apikey.FormatOptions{}).endpoint(g, func(o *leak.Options) { o.PublicKeys.Token = apikey.NewSecret("ghp_x") })
		for range 3 {
			require.Equal(t, 200, serve(h, gh.request(t, `[]`)).Code)
			time.Sleep(30 * time.Minute)
		}
		require.Equal(t, 3, g.count())
		assert.Equal(t, `"v1"`, g.last().Header.Get("If-None-Match"))
		assert.Equal(t, "Bearer ghp_x", g.last().Header.Get("Authorization"))
		assert.Equal(t, "https://api.github.com/meta/public_keys/secret_scanning", g.last().URL.String())
		time.Sleep(29 * time.Minute)
		require.Equal(t, 200, serve(h, gh.request(t, `[]`)).Code)
		require.Equal(t, 4, g.count(), "30 minutes count from the confirmation")
	})
}

func TestAFetchOutlivesTheClientThatCausedIt(t *testing.T) {
	t.Parallel()
	gh := newSigner(t, "1", elliptic.P256())
	synctest.Test(t, func(t *testing.T) {
		g := newFakeGitHub(t, gh)
		g.wait = make(chan struct{})
		h := newService(t, apikey.FormatOptions{}).endpoint(g)
		ctx, cancel := context.WithCancel(t.Context())
		forged := make(chan int, 1)
		go func() { forged <- serve(h, signer{"9", gh.key}.request(t, `[]`).WithContext(ctx)).Code }()
		synctest.Wait()
		cancel()
		real := make(chan int, 1)
		go func() { real <- serve(h, gh.request(t, `[]`)).Code }()
		synctest.Wait()
		close(g.wait)
		assert.Equal(t, 403, <-forged)
		assert.Equal(t, 200, <-real)
		assert.Equal(t, 1, g.count(), "both wait for the same request")
	})
}

func TestAFetchEndsAfterFiveSeconds(t *testing.T) {
	t.Parallel()
	gh := newSigner(t, "1", elliptic.P256())
	synctest.Test(t, func(t *testing.T) {
		g := newFakeGitHub(t, gh)
		h := newService(t, apikey.FormatOptions{}).endpoint(g)
		require.Equal(t, 200, serve(h, gh.request(t, `[]`)).Code)
		time.Sleep(time.Minute)
		g.wait = make(chan struct{})
		began := time.Now()
		slow := make(chan int, 1)
		go func() { slow <- serve(h, signer{"9", gh.key}.request(t, `[]`)).Code }()
		synctest.Wait()
		assert.Equal(t, 200, serve(h, gh.request(t, `[]`)).Code, "a known key does not wait for the request")
		assert.Zero(t, time.Since(began))
		assert.Equal(t, 503, <-slow)
		assert.Equal(t, 5*time.Second, time.Since(began))
	})
}

func TestTheTokenOfGitHubIsNotLogged(t *testing.T) {
	t.Parallel()
	gh := newSigner(t, "1", elliptic.P256())
	g := newFakeGitHub(t, gh)
	g.fail(http.StatusUnauthorized, nil)
	s := newService(t, apikey.FormatOptions{})
	h := s.endpoint(g, func(o *leak.Options) { o.PublicKeys.Token = apikey.NewSecret("ghp_canary") })
	require.Equal(t, 503, serve(h, gh.request(t, `[]`)).Code)
	assert.Contains(t, s.log.String(), "the server answered 401")
	assert.NotContains(t, s.log.String(), "canary")
}
