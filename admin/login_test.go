package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWrongPasswordsGetTheSameResponse(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	bodies := map[string]bool{}
	for _, password := range []string{"wrong", testPassword + "x", testPassword[:8], strings.ToUpper(testPassword)} {
		v := s.visitor()
		a := v.post("/admin/login", "password", password)
		assert.Equal(t, http.StatusUnauthorized, a.StatusCode)
		assert.False(t, v.loggedIn())
		bodies[a.body] = true
	}
	assert.Len(t, bodies, 1)
	assert.NotContains(t, s.log.String(), testPassword[:8])
}

// A hundred logins at once compute at most two hashes at a time and refuse most logins without a
// hash. The API beside them answers.
func TestHundredLoginsAtOnceAreBounded(t *testing.T) {
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
		v.header.Set("X-Client", fmt.Sprintf("%d.0.0.1", i+1)) // otherwise the budget of one address would limit them
		form := url.Values{"password": {"guess"}}
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
	<-full // the logins that do not wait are refused before any hash is finished
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

// The logins use the real hash of New.
func TestHashesAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{ClientAddr: func(r *http.Request) string { return r.Header.Get("X-Client") }})
	counted := countHashes(s.handler)
	form := url.Values{"password": {"a guess"}}.Encode()
	var all sync.WaitGroup
	var refused, turnedAway atomic.Int32
	for i := range 100 {
		v := s.visitor()
		v.at(s.mux, "/admin/")
		v.header.Set("X-Client", fmt.Sprintf("%d.0.0.1", i+1))
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
	assert.LessOrEqual(t, counted.most.Load(), int32(2), "hashes at once")
	assert.Equal(t, counted.all.Load(), refused.Load(), "each refused login computes one hash, and the others none")
	assert.Equal(t, int32(100), refused.Load()+turnedAway.Load())
}

// hashes counts computed hashes: all of them, and the most at once.
type hashes struct{ all, now, most atomic.Int32 }

func countHashes(h *dashboard) *hashes {
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

// A login takes as long as its hash, so each wrong password must compute the same hash.
func TestEachWrongPasswordTakesOneHash(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	counted := countHashes(s.handler)
	for name, test := range map[string]struct {
		password string
		hashes   int32
	}{
		"empty":                    {"", 1},
		"a space":                  {" ", 1},
		"a prefix of the password": {testPassword[:8], 1},
		"more than the password":   {testPassword + "x", 1},
		"in upper case":            {strings.ToUpper(testPassword), 1},
		"of the same length":       {strings.Repeat("x", len(testPassword)), 1},
		"not UTF-8":                {"\xff\xfe", 1},
		"with a NUL":               {testPassword + "\x00", 1},
		"of the maximum length":    {strings.Repeat("x", maxPassword), 1},
		"too long":                 {strings.Repeat("x", maxPassword+1), 0},
	} {
		before := counted.all.Load()
		a := s.visitor().post("/admin/login", "password", test.password)
		assert.Equal(t, http.StatusUnauthorized, a.StatusCode, name)
		assert.Equal(t, test.hashes, counted.all.Load()-before, name)
		s.handler.attempts = newAttempts(s.handler.now)
	}
}

func TestLoginsOfOneAddressAreLimited(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	s.handler.passwords.matches = func(string) bool { return false }
	v := s.visitor()
	for range addressBurst {
		assert.Equal(t, http.StatusUnauthorized, v.post("/admin/login", "password", "guess").StatusCode)
	}
	a := v.post("/admin/login", "password", "guess")
	assert.Equal(t, http.StatusTooManyRequests, a.StatusCode)
	assert.NotEmpty(t, a.Header.Get("Retry-After"))
}

// Another tab has logged in after this form was loaded.
func TestLoginWorksInsideASession(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	old := v.cookies()
	a := v.do("POST", "/admin/login", url.Values{"password": {testPassword}, "next": {"add"}}.Encode())
	assert.Equal(t, http.StatusSeeOther, a.StatusCode)
	assert.Equal(t, "./add", a.Header.Get("Location"))
	assert.NotEqual(t, old, v.cookies())
	assert.True(t, v.loggedIn())
}

// The form is from another process, or from this one before a restart.
func TestLoginFormWorksInEveryProcess(t *testing.T) {
	t.Parallel()
	one, two := newSite(t, Options{}), newSite(t, Options{})
	form := hiddenIn(one.visitor().get("/admin/login"))
	form.Set("password", testPassword)
	assert.Equal(t, http.StatusSeeOther, two.visitor().do("POST", "/admin/login", form.Encode()).StatusCode)
}

func TestLogoutWorksFromAPageOfAnEarlierSession(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	form := hiddenIn(v.get("/admin/"))
	v.loginAgain()
	a := v.do("POST", "/admin/logout", form.Encode())
	assert.Equal(t, http.StatusSeeOther, a.StatusCode)
	assert.Equal(t, "./login", a.Header.Get("Location"))
	assert.Equal(t, []string{`"cache"`}, a.Header.Values("Clear-Site-Data"), "the application shares cookies and storage")
	assert.False(t, v.loggedIn())
}

func TestNextLeadsOnlyToPagesOfTheDashboard(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	for next, want := range map[string]string{
		"": "", "add": "add", "keys/abc": "keys/abc", "keys/abc/revoke": "keys/abc/revoke", "?search=a+b&sort=name": "?search=a+b&sort=name",
		"//evil.example": "", `/\evil.example`: "", `\\evil.example`: "", "%2f%2fevil.example": "", "/%2fevil.example": "", "https://evil.example": "",
		"javascript:alert(1)": "", "data:text/html,x": "", "keys/../../x": "", "keys/abc/../../..": "", "logout": "", "login": "", "/": "", "/add": "",
		"keys/abc\r\nX: y": "", "keys//evil": "", "user@evil.example": "", "add#x": "add",
		"?api_key=SECRET&search=x": "?search=x", "?cursor=a&x=y": "?cursor=a", "add?token=x": "add",
		"revoke?id=a&id=b&id=%00&token=x&list=%3Fsort%3Dname%26token%3Dx": "revoke?id=a&id=b&list=%3Fsort%3Dname", "revoke": "revoke",
		"keys/abc/revoke?list=%3Fsort%3Dname&id=x": "keys/abc/revoke?list=%3Fsort%3Dname",
		"keys.csv?owner=Ops":                       "?owner=Ops", "keys.json": "",
	} {
		assert.Equal(t, want, s.handler.nextPage(next), next)
	}
	for next, want := range map[string]string{"//evil.example": "./", "keys/abc/rotate": "./keys/abc/rotate"} {
		v := s.visitor()
		a := v.post("/admin/login", "password", testPassword, "next", next)
		assert.Equal(t, want, a.Header.Get("Location"), next)
	}
	for path, want := range map[string]string{
		"keys.csv": "./login", "keys.json?sort=name": "./login?next=%3Fsort%3Dname", "revoke?id=a&list=": "./login?next=revoke%3Fid%3Da%26list%3D",
	} {
		assert.Equal(t, want, s.visitor().get("/admin/"+path).Header.Get("Location"), path)
	}
	a := s.visitor().get("/admin/keys/abc/revoke")
	assert.Equal(t, "../../login?next=keys%2Fabc%2Frevoke", a.Header.Get("Location"))
}

// BenchmarkAPI measures an API request beside waves of 100 simultaneous logins. The dashboard refuses
// most of them. The clients that send the logins run on the same machine.
func BenchmarkAPI(b *testing.B) {
	s := newSite(b, Options{ClientAddr: func(r *http.Request) string { return r.Header.Get("X-Client") }})
	secret, _ := s.issue("Backup job")
	b.Run("alone", func(b *testing.B) { measureAPI(b, s, secret) })
	b.Run("beside 100 logins", func(b *testing.B) {
		counted := countHashes(s.handler)
		form := url.Values{"password": {"a guess"}}.Encode()
		var all sync.WaitGroup
		var client atomic.Int64
		done := make(chan struct{})
		all.Go(func() {
			for {
				var wave sync.WaitGroup
				s.handler.attempts = newAttempts(s.handler.now) // otherwise few logins would reach a hash
				for range 100 {
					v := s.visitor()
					v.at(s.mux, "/admin/")
					v.header.Set("X-Client", fmt.Sprint(client.Add(1)))
					wave.Go(func() { v.do("POST", "/admin/login", form) })
				}
				wave.Wait()
				select {
				case <-done:
					return
				default:
				}
			}
		})
		began := time.Now()
		measureAPI(b, s, secret)
		b.ReportMetric(float64(counted.all.Load())/time.Since(began).Seconds(), "hashes/s")
		b.ReportMetric(float64(counted.most.Load()), "hashes-at-once")
		close(done)
		all.Wait()
	})
}

func measureAPI(b *testing.B, s *site, secret string) {
	client := s.server.Client()
	r, err := http.NewRequest("GET", s.server.URL+"/api", nil)
	require.NoError(b, err)
	r.Header.Set("X-API-Key", secret)
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		response, err := client.Do(r)
		if err != nil || response.StatusCode != http.StatusOK {
			b.Fatal(response, err)
		}
		response.Body.Close()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	at := func(part float64) float64 { return float64(took[int(part*float64(len(took)-1))].Microseconds()) }
	b.ReportMetric(at(.5), "p50-µs")
	b.ReportMetric(at(.99), "p99-µs")
}
