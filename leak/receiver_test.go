package leak_test

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/leak"
)

func TestAStoreThatFailsIsAnsweredWith503AndTheOtherKeysAreRevoked(t *testing.T) {
	t.Parallel()
	s, gh := newService(t, apikey.FormatOptions{}), newSigner(t, "1", elliptic.P256())
	h := s.endpoint(newFakeGitHub(t, gh))
	first, firstKey := s.issue("first")
	second, secondKey := s.issue("second")
	third, thirdKey := s.issue("third")
	s.store.failRevoke = func(id string) error {
		if id == secondKey.ID {
			return fmt.Errorf("%w: %w", apikey.ErrUncertain, errDown)
		}
		return nil
	}
	body := arrayOf(t, object{"token": first, "type": "1"}, object{"token": second, "type": "2"}, object{"token": third, "type": "3"})
	w := serve(h, gh.request(t, body))
	require.Equal(t, 503, w.Code, w.Body)
	assert.Equal(t, "5", w.Header().Get("Retry-After"))
	assert.True(t, s.isRevoked(firstKey.ID))
	assert.False(t, s.isRevoked(secondKey.ID))
	assert.True(t, s.isRevoked(thirdKey.ID))
	assert.Len(t, s.reports, 2, "the service hears of the keys that were revoked")

	s.store.failRevoke = nil
	w = serve(h, gh.request(t, body))
	require.Equal(t, 200, w.Code, w.Body)
	assert.True(t, s.isRevoked(secondKey.ID))
	require.Len(t, s.reports, 5)
	assert.Equal(t, []bool{true, false, true}, []bool{s.reports[2].AlreadyRevoked, s.reports[3].AlreadyRevoked, s.reports[4].AlreadyRevoked})
	assert.Equal(t, []string{"create by ", "revoke by " + leak.GitHubActor}, s.history(firstKey.ID), "a repeated report changes nothing")
}

func TestALookupThatFailsIsAnsweredWith503(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"an error":                               func() error { return errDown },
		"an outage that mentions an unknown key": func() error { return fmt.Errorf("%w: %w", apikey.ErrUnavailable, apikey.ErrNotFound) },
		"a panic":                                func() error { panic("store") },
	} {
		s, gh := newService(t, apikey.FormatOptions{}), newSigner(t, "1", elliptic.P256())
		token, key := s.issue("x")
		s.store.failLookup = fail
		w := serve(s.endpoint(newFakeGitHub(t, gh)), gh.request(t, arrayOf(t, object{"token": token})))
		assert.Equal(t, 503, w.Code, name)
		assert.False(t, s.isRevoked(key.ID), name)
		assert.Contains(t, s.log.String(), "key store failed", name)
	}
}

func TestAnOnLeakThatFailsIsAnsweredWith503AndCalledAgain(t *testing.T) {
	t.Parallel()
	s, gh := newService(t, apikey.FormatOptions{}), newSigner(t, "1", elliptic.P256())
	h := s.endpoint(newFakeGitHub(t, gh))
	token, key := s.issue("x")
	s.hookErr = errors.New("the queue is full")
	body := arrayOf(t, object{"token": token})
	assert.Equal(t, 503, serve(h, gh.request(t, body)).Code)
	assert.True(t, s.isRevoked(key.ID), "a key is revoked before OnLeak is called")
	s.hookErr = nil
	assert.Equal(t, 200, serve(h, gh.request(t, body)).Code)
	require.Len(t, s.reports, 2)
	assert.True(t, s.reports[1].AlreadyRevoked)
}

func TestEveryPlaceOfAKeyIsReportedAndTheKeyIsLookedUpOnce(t *testing.T) {
	t.Parallel()
	s, gh := newService(t, apikey.FormatOptions{}), newSigner(t, "1", elliptic.P256())
	token, key := s.issue("x")
	w := serve(s.endpoint(newFakeGitHub(t, gh)), gh.request(t, arrayOf(t,
		object{"token": token, "type": "t", "url": "https://h/1"}, object{"token": token, "type": "t", "url": "https://h/2"})))
	require.Equal(t, 200, w.Code)
	require.Len(t, s.reports, 2)
	assert.Equal(t, []string{"https://h/1", "https://h/2"}, []string{s.reports[0].URL, s.reports[1].URL})
	assert.EqualValues(t, 1, s.store.lookups.Load())
	assert.Len(t, s.history(key.ID), 2)
	assert.Equal(t, 1, strings.Count(w.Body.String(), "token_hash"))
}

func TestALargeReportIsHandledWithinTheTimeout(t *testing.T) {
	t.Parallel()
	s, gh := newService(t, apikey.FormatOptions{}), newSigner(t, "1", elliptic.P256())
	all := make([]object, 10_000)
	for i := range all {
		token := fmt.Sprint("unknown-", i)
		if i%10 == 0 {
			token, _ = s.issue("x")
		}
		all[i] = object{"token": token, "type": kind, "url": "https://github.com/o/r/blob/main/x"}
	}
	began := time.Now()
	w := serve(s.endpoint(newFakeGitHub(t, gh)), gh.request(t, arrayOf(t, all...)))
	t.Log("10,000 reports of 1,000 keys:", time.Since(began))
	require.Equal(t, 200, w.Code)
	assert.Equal(t, 1000, strings.Count(w.Body.String(), "true_positive"))
	assert.EqualValues(t, 1000, s.store.lookups.Load())
	assert.Len(t, s.reports, 1000)
}

func TestAnUnfinishedReportIsAnsweredWith503WhenTheTimeoutEnds(t *testing.T) {
	t.Parallel()
	gh := newSigner(t, "1", elliptic.P256())
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, apikey.FormatOptions{})
		h := s.endpoint(newFakeGitHub(t, gh), func(o *leak.Options) { o.Timeout = 10 * time.Second })
		var reports []object
		var ids []string
		for range 100 {
			token, key := s.issue("x")
			reports, ids = append(reports, object{"token": token}), append(ids, key.ID)
		}
		s.store.beforeWrite = func() { time.Sleep(time.Second) }
		began := time.Now()
		w := serve(h, gh.request(t, arrayOf(t, reports...)))
		assert.Equal(t, 503, w.Code)
		assert.LessOrEqual(t, time.Since(began), 11*time.Second)
		revoked := 0
		for _, id := range ids {
			if s.isRevoked(id) {
				revoked++
			}
		}
		assert.GreaterOrEqual(t, revoked, 72, "8 keys at a time, a second each")
		assert.Less(t, revoked, 100)
	})
}

func TestASenderThatDisconnectsDoesNotProtectAKey(t *testing.T) {
	t.Parallel()
	s, gh := newService(t, apikey.FormatOptions{}), newSigner(t, "1", elliptic.P256())
	h := s.endpoint(newFakeGitHub(t, gh))
	token, key := s.issue("x")
	ctx, cancel := context.WithCancel(t.Context())
	s.store.failLookup = func() error { cancel(); return nil }
	serve(h, gh.request(t, arrayOf(t, object{"token": token})).WithContext(ctx))
	assert.True(t, s.isRevoked(key.ID))
	assert.Len(t, s.reports, 1)
}

func TestTheTokenReachesNeitherLogNorResponseNorReport(t *testing.T) {
	t.Parallel()
	s, gh := newService(t, apikey.FormatOptions{}), newSigner(t, "1", elliptic.P256())
	h := s.endpoint(newFakeGitHub(t, gh))
	token, _ := s.issue("x")
	other, _ := s.issue("y")
	escaped := "%61%6B_" + token[3:]
	for _, place := range []string{token, other, escaped, "https://h/?api_key=" + token, "https://h/#" + other + "&x=" + escaped,
		strings.Repeat("x", 2030) + token, "\x1b[2J\u202e" + token, "https://h/?u=" + strings.ReplaceAll(escaped, "%", "%25"),
		token[:20] + "\x00" + token[20:], "https://h/" + token[:20] + "\ufffd" + token[20:]} {
		for _, fail := range []bool{false, true} {
			s.hookErr = nil
			if fail {
				s.hookErr = errDown
			}
			w := serve(h, gh.request(t, arrayOf(t, object{"token": token, "type": place, "url": place, "source": place})))
			require.NotEmpty(t, s.reports)
			r := s.reports[len(s.reports)-1]
			shown := fmt.Sprintf("%s %v %+v", w.Body, w.Header(), r)
			for _, secret := range []string{token[3:], other[3:]} {
				assert.NotContains(t, shown, secret)
				assert.NotContains(t, s.log.String(), secret)
			}
			assert.LessOrEqual(t, len(r.URL), 2048)
			assert.LessOrEqual(t, len(r.Type), 200)
			assert.NotContains(t, r.URL, "\x1b")
		}
	}
}

// An imported key has no shape by which it could be found in a text.
func TestAnImportedTokenReachesNeitherResponseNorReport(t *testing.T) {
	t.Parallel()
	const token, other = "legacy/key+0123456789", "legacy/key+9876543210"
	for _, test := range []struct{ rule, place string }{
		{"the token", token},
		{"another token of the request", "https://h/?a=" + other},
		{"an escaped token beside a malformed escape", "https://h/%zz?a=legacy%2Fkey%2B0123456789"},
		{"an escaped token of the request beside a malformed escape", "https://h/?a=legacy%2Fkey%2B9876543210&b=100%"},
		{"a token that is escaped five times", "https://h/?a=legacy%252525252Fkey%252525252B0123456789"},
		{"a token around a control character", "https://h/?a=legacy/key\x00+0123456789"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			s, gh := newService(t, apikey.FormatOptions{AllowImported: true}), newSigner(t, "1", elliptic.P256())
			for _, text := range []string{token, other} {
				_, err := s.issuer.Import(t.Context(), apikey.ImportedKey{Name: "Old", Secret: apikey.NewSecret(text)})
				require.NoError(t, err)
			}
			w := serve(s.endpoint(newFakeGitHub(t, gh)), gh.request(t, arrayOf(t,
				object{"token": token, "type": test.place, "url": test.place, "source": test.place}, object{"token": other})))
			require.Equal(t, 200, w.Code)
			require.NotEmpty(t, s.reports)
			shown := fmt.Sprintf("%s %+v", w.Body, s.reports)
			for range 6 {
				assert.NotContains(t, shown, token)
				assert.NotContains(t, shown, other)
				shown = strings.NewReplacer("%25", "%", "%2F", "/", "%2B", "+").Replace(shown)
			}
		})
	}
}

// A deadlineWriter records read deadlines, as the server of net/http has them.
type deadlineWriter struct {
	*httptest.ResponseRecorder
	deadlines []time.Time
}

func (w *deadlineWriter) SetReadDeadline(t time.Time) error {
	w.deadlines = append(w.deadlines, t)
	return nil
}

func TestABodyMustArriveWithinTenSeconds(t *testing.T) {
	t.Parallel()
	gh := newSigner(t, "1", elliptic.P256())
	synctest.Test(t, func(t *testing.T) {
		w := &deadlineWriter{ResponseRecorder: httptest.NewRecorder()}
		newService(t, apikey.FormatOptions{}).endpoint(newFakeGitHub(t, gh)).ServeHTTP(w, gh.request(t, `[]`))
		assert.Equal(t, []time.Time{time.Now().Add(10 * time.Second), {}}, w.deadlines)
	})
}

func TestSixteenRequestsAreHandledAtATime(t *testing.T) {
	t.Parallel()
	gh := newSigner(t, "1", elliptic.P256())
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, apikey.FormatOptions{})
		h := s.endpoint(newFakeGitHub(t, gh))
		token, _ := s.issue("x")
		s.store.failLookup = func() error { time.Sleep(time.Second); return nil }
		statuses := make(chan int, 16)
		for range 16 {
			go func() { statuses <- serve(h, gh.request(t, arrayOf(t, object{"token": token}))).Code }()
		}
		synctest.Wait()
		assert.Equal(t, 503, serve(h, gh.request(t, `[]`)).Code)
		for range 16 {
			assert.Equal(t, 200, <-statuses)
		}
		assert.Equal(t, 200, serve(h, gh.request(t, `[]`)).Code)
	})
}

func TestForgedRequestsDoNotKeepTheSenderOut(t *testing.T) {
	t.Parallel()
	gh := newSigner(t, "1", elliptic.P256())
	large := "[" + strings.Repeat(" ", 2<<20) + "]"
	for name, test := range map[string]struct {
		forged, bytes int
		report        string
		want          int
	}{
		"some slow requests":                           {40, 1, `[]`, 200},
		"more than can be read":                        {256, 1, `[]`, 503},
		"more than the memory takes":                   {16, 4 << 20, `[]`, 200},
		"more than the memory takes, and a large body": {16, 4 << 20, large, 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newService(t, apikey.FormatOptions{}).endpoint(newFakeGitHub(t, gh))
				require.Equal(t, 200, serve(h, gh.request(t, `[]`)).Code)
				end := make(chan struct{})
				for range test.forged {
					r := gh.request(t, `[]`)
					r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(make([]byte, test.bytes)), endOf(end)))
					go func() { assert.Equal(t, 403, serve(h, r).Code) }()
				}
				synctest.Wait()
				assert.Equal(t, test.want, serve(h, gh.request(t, test.report)).Code)
				close(end)
				synctest.Wait()
				assert.Equal(t, 200, serve(h, gh.request(t, `[]`)).Code, "when they have ended")
			})
		})
	}
}

// An endedWriter ends its request at a deadline that has passed, as the server of net/http does.
type endedWriter struct {
	*httptest.ResponseRecorder
	end chan struct{}
}

func (w endedWriter) SetReadDeadline(t time.Time) error {
	if !t.IsZero() && !t.After(time.Now()) {
		close(w.end)
	}
	return nil
}

func TestANewRequestEndsTheOldestOfTooManySlowOnes(t *testing.T) {
	t.Parallel()
	gh := newSigner(t, "1", elliptic.P256())
	for name, test := range map[string]struct {
		endpoint func(*service) http.Handler
		request  func() *http.Request
	}{
		"reports": {func(s *service) http.Handler { return s.endpoint(newFakeGitHub(t, gh)) }, func() *http.Request { return gh.request(t, `[]`) }},
		"verifications": {func(s *service) http.Handler {
			h, err := leak.Verify(s.desk, s.options())
			require.NoError(t, err)
			return h
		}, func() *http.Request {
			return httptest.NewRequest("POST", "/", strings.NewReader(`{"d":{"key":["ak_x"]}}`))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := test.endpoint(newService(t, apikey.FormatOptions{}))
				require.Less(t, serve(h, test.request()).Code, 500)
				var slow []endedWriter
				for range 300 {
					w := endedWriter{httptest.NewRecorder(), make(chan struct{})}
					slow = append(slow, w)
					r := test.request()
					r.Body = io.NopCloser(endOf(w.end))
					go h.ServeHTTP(w, r)
					synctest.Wait()
				}
				w := endedWriter{httptest.NewRecorder(), make(chan struct{})}
				h.ServeHTTP(w, test.request())
				assert.Less(t, w.Code, 500)
				for i, w := range slow {
					select {
					case <-w.end:
						assert.Less(t, i, 45, "the oldest ones have ended")
					default:
						assert.GreaterOrEqual(t, i, 45, "the others have not")
						close(w.end)
					}
				}
			})
		})
	}
}

// An endOf ends when the channel is closed.
type endOf chan struct{}

func (e endOf) Read([]byte) (int, error) {
	<-e
	return 0, io.EOF
}

func TestAReportArrivesOverHTTP(t *testing.T) {
	t.Parallel()
	s, gh := newService(t, apikey.FormatOptions{}), newSigner(t, "1", elliptic.P256())
	server := httptest.NewServer(s.endpoint(newFakeGitHub(t, gh)))
	defer server.Close()
	token, key := s.issue("x")
	signed := gh.request(t, arrayOf(t, object{"token": token, "type": kind}))
	r, err := http.NewRequest("POST", server.URL, signed.Body)
	require.NoError(t, err)
	r.Header = signed.Header
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	assert.Equal(t, 200, response.StatusCode)
	assert.True(t, s.isRevoked(key.ID))
}
