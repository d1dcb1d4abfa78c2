package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAWrongPasswordTellsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	bodies := map[string]bool{}
	for _, password := range []string{"wrong", testPassword + "x", testPassword[:8], strings.ToUpper(testPassword)} {
		v := s.visitor()
		a := v.post("/admin/login", "password", password)
		assert.Equal(t, http.StatusUnauthorized, a.StatusCode)
		assert.False(t, v.loggedIn())
		bodies[tokenInPage.ReplaceAllString(a.body, "")] = true
	}
	assert.Len(t, bodies, 1)
	assert.NotContains(t, s.log.String(), testPassword[:8])
}

// A hundred logins at once compute no more than two hashes at a time, and most of them none. The
// API goes on beside them.
func TestAHundredLoginsAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{ClientAddr: func(r *http.Request) string { return r.Header.Get("X-Client") }})
	var now, most, hashes atomic.Int32
	gate := make(chan struct{})
	s.handler.passwords.matches = func(string) bool {
		hashes.Add(1)
		for n := now.Add(1); ; {
			if before := most.Load(); n <= before || most.CompareAndSwap(before, n) {
				break
			}
		}
		<-gate
		now.Add(-1)
		return false
	}
	var all sync.WaitGroup
	var statuses [600]atomic.Int32
	var answered atomic.Int32
	waiting := cap(s.handler.passwords.queue)
	full := make(chan struct{})
	for i := range 100 {
		v := s.visitor()
		v.header.Set("X-Client", fmt.Sprintf("192.0.2.%d", i)) // each its own, or its rate would be what limits it
		form := url.Values{"token": {v.get("/admin/login").token()}, "password": {"guess"}}
		all.Go(func() {
			a := v.do("POST", "/admin/login", form.Encode())
			statuses[a.StatusCode].Add(1)
			if a.StatusCode == http.StatusTooManyRequests {
				assert.NotEmpty(t, a.Header.Get("Retry-After"))
			}
			if answered.Add(1) == int32(100-waiting) {
				close(full)
			}
		})
	}
	<-full // all but those that wait have been turned away, though no hash was finished
	secret, _ := s.issue("Backup job")
	api := s.visitor()
	api.header.Set("X-API-Key", secret)
	assert.Equal(t, http.StatusOK, api.get("/api").StatusCode)
	close(gate)
	all.Wait()
	assert.LessOrEqual(t, most.Load(), int32(2))
	assert.Equal(t, int32(waiting), hashes.Load())
	assert.Equal(t, int32(100-waiting), statuses[http.StatusTooManyRequests].Load())
	assert.Equal(t, int32(waiting), statuses[http.StatusUnauthorized].Load())
}

// With the real hash of New, and as many at once as there are slots for.
func TestHashesAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{ClientAddr: func(r *http.Request) string { return r.Header.Get("X-Client") }})
	counted := countHashes(s.handler)
	form := url.Values{"token": {s.visitor().get("/admin/login").token()}, "password": {"a guess of them"}}.Encode()
	var all sync.WaitGroup
	var refused, turnedAway atomic.Int32
	for i := range 100 {
		v := s.visitor()
		v.at(s.mux, "/admin/")
		v.header.Set("X-Client", fmt.Sprintf("192.0.2.%d", i))
		all.Go(func() {
			switch v.do("POST", "/admin/login", form).StatusCode {
			case http.StatusUnauthorized:
				refused.Add(1)
			case http.StatusTooManyRequests:
				turnedAway.Add(1)
			}
		})
	}
	all.Wait()
	assert.LessOrEqual(t, counted.most.Load(), int32(2), "of 32 MiB each")
	assert.Equal(t, counted.all.Load(), refused.Load(), "one hash for each that was refused, and none for the others")
	assert.Equal(t, int32(100), refused.Load()+turnedAway.Load())
}

// hashes counts them: all there were, and the most at once.
type hashes struct{ all, now, most atomic.Int32 }

func countHashes(h *Handler) *hashes {
	var c hashes
	matches := h.passwords.matches
	h.passwords.matches = func(password string) bool {
		c.all.Add(1)
		defer c.now.Add(-1)
		for n := c.now.Add(1); ; {
			if before := c.most.Load(); n <= before || c.most.CompareAndSwap(before, n) {
				break
			}
		}
		return matches(password)
	}
	return &c
}

// A login takes as long as its hash, so each wrong password must have one, and the same.
func TestEachWrongPasswordTakesOneHash(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	counted := countHashes(s.handler)
	for name, test := range map[string]struct {
		password string
		hashes   int32
	}{
		"empty":                       {"", 1},
		"a blank":                     {" ", 1},
		"its beginning":               {testPassword[:8], 1},
		"it and more":                 {testPassword + "x", 1},
		"of another case":             {strings.ToUpper(testPassword), 1},
		"of its length":               {strings.Repeat("x", len(testPassword)), 1},
		"not UTF-8":                   {"\xff\xfe", 1},
		"with a NUL":                  {testPassword + "\x00", 1},
		"as long as may be":           {strings.Repeat("x", maxPassword), 1},
		"longer, which tells nothing": {strings.Repeat("x", maxPassword+1), 0},
	} {
		before := counted.all.Load()
		a := s.visitor().post("/admin/login", "password", test.password)
		assert.Equal(t, http.StatusUnauthorized, a.StatusCode, name)
		assert.Equal(t, test.hashes, counted.all.Load()-before, name)
		s.handler.attempts.succeeded("127.0.0.1")
	}
}

func TestLoginsOfOneAddressAreLimited(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	s.handler.passwords.matches = func(string) bool { return false }
	v := s.visitor()
	for range maxAttempts {
		assert.Equal(t, http.StatusUnauthorized, v.post("/admin/login", "password", "guess").StatusCode)
	}
	a := v.post("/admin/login", "password", "guess")
	assert.Equal(t, http.StatusTooManyRequests, a.StatusCode)
	assert.NotEmpty(t, a.Header.Get("Retry-After"))
}

// A browser may tell of a session only after the form was loaded: with a cookie for which a link
// from another site did not count, or because another tab has logged in meanwhile.
func TestALoginFormIsGoodWhereverTheSessionCameFrom(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	form := func(path string) string {
		return url.Values{"token": {v.get(path).token()}, "password": {testPassword}, "next": {"add"}}.Encode()
	}
	before := form("/admin/login")
	v.login()
	old := v.cookies()
	a := v.do("POST", "/admin/login", before)
	assert.Equal(t, http.StatusSeeOther, a.StatusCode)
	assert.Equal(t, "./add", a.Header.Get("Location"))
	assert.NotEqual(t, old, v.cookies())
	assert.True(t, v.loggedIn())
	assert.Equal(t, http.StatusSeeOther, v.do("POST", "/admin/login", form("/admin/add")).StatusCode, "with the token of a session")
	other := s.visitor()
	other.login()
	stolen := url.Values{"token": {other.get("/admin/add").token()}, "password": {testPassword}}
	assert.Equal(t, http.StatusForbidden, v.do("POST", "/admin/login", stolen.Encode()).StatusCode, "with the token of another session")
}

func TestALogoutFromAnEarlierSessionsPageHolds(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	old := url.Values{"token": {v.get("/admin/").token()}}
	v.loginAgain()
	a := v.do("POST", "/admin/logout", old.Encode())
	assert.Equal(t, http.StatusSeeOther, a.StatusCode)
	assert.Equal(t, "./login", a.Header.Get("Location"))
	assert.False(t, v.loggedIn())
}
