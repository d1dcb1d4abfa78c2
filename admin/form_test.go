package admin

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestFormSizeIsLimited(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	huge := "password=" + strings.Repeat("x", maxBody)
	assert.Equal(t, http.StatusRequestEntityTooLarge, v.do("POST", "/admin/add", huge).StatusCode)
	assert.Equal(t, http.StatusRequestEntityTooLarge, s.visitor().do("POST", "/admin/login", huge).StatusCode)
	assert.Equal(t, http.StatusUnauthorized, s.visitor().post("/admin/login", "password", strings.Repeat("x", maxPassword+1)).StatusCode)
}

func TestFormNeedsItsNonce(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	_, key := s.issue("Backup job")
	v := s.visitor()
	for name, nonce := range map[string]string{"no nonce": "", "a short nonce": "A", "a long nonce": strings.Repeat("A", 60_000)} {
		form := url.Values{"nonce": {nonce}, "name": {"x"}, "expiry": {"never"}, "grace": {"0"}}.Encode()
		for _, path := range []string{"/admin/add", "/admin/keys/" + key.ID + "/rotate"} {
			assert.Equal(t, http.StatusBadRequest, v.do("POST", path, form).StatusCode, "%s at %s", name, path)
		}
	}
	assert.Equal(t, []string{"Backup job"}, s.keys())
}

// makers returns the two forms that make a key, with their paths.
func makers(s *site) map[string]struct {
	path string
	form url.Values
} {
	_, key := s.issue("Backup job")
	return map[string]struct {
		path string
		form url.Values
	}{
		"adding":   {"/admin/add", url.Values{"name": {"Backup job"}, "expiry": {"90"}}},
		"rotating": {"/admin/keys/" + key.ID + "/rotate", url.Values{"grace": {"24h"}}},
	}
}

func TestNewKeyIsInOneResponseOnly(t *testing.T) {
	t.Parallel()
	manager := hostSessions()
	sessions := &recordedSessions{Store: manager.Store}
	manager.Store = sessions
	s := newSite(t, Options{Sessions: manager})
	v := s.visitor()
	v.login()
	for name, maker := range makers(s) {
		t.Run(name, func(t *testing.T) {
			maker.form.Set("nonce", v.get(maker.path).nonce())
			a := v.do("POST", maker.path, maker.form.Encode())
			require.Equal(t, http.StatusOK, a.StatusCode)
			secret := regexpKey.FindString(a.body)
			require.NotEmpty(t, secret)
			assert.Equal(t, "no-store", a.Header.Get("Cache-Control"))
			header, err := json.Marshal(a.Header)
			require.NoError(t, err)
			assert.NotContains(t, string(header), secret)
			for _, path := range []string{"/admin/", "/admin/add", maker.path, "/admin/keys/" + s.newest().ID} {
				assert.NotContains(t, v.get(path).body, secret, path)
			}
			assert.NotContains(t, v.do("POST", maker.path, maker.form.Encode()).body, secret, "a reload")
			assert.NotContains(t, s.log.String(), secret)
			assert.NotContains(t, sessions.written(), secret)
			for _, cookie := range v.cookies() {
				assert.NotContains(t, cookie.Value, secret)
			}
		})
	}
}

func TestDoubleClickMakesOneKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	for name, maker := range makers(s) {
		t.Run(name, func(t *testing.T) {
			before := len(s.keys())
			maker.form.Set("nonce", v.get(maker.path).nonce())
			answers := make([]answer, 5)
			var all sync.WaitGroup
			for i := range answers {
				all.Go(func() { answers[i] = v.do("POST", maker.path, maker.form.Encode()) })
			}
			all.Wait()
			shown := 0
			for _, a := range answers {
				if a.StatusCode == http.StatusOK {
					shown++
					continue
				}
				assert.Equal(t, http.StatusConflict, a.StatusCode)
				assert.NotRegexp(t, regexpKey, a.body)
				assert.Contains(t, a.body, "already sent")
			}
			assert.Equal(t, 1, shown)
			assert.Len(t, s.keys(), before+1)
		})
	}
}

func TestFormWorksAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	v := s.visitor()
	all := makers(s)
	for name, method := range map[string]string{"adding": "Create", "rotating": "Replace"} {
		t.Run(name, func(t *testing.T) {
			maker := all[name]
			maker.form.Set("nonce", v.get(maker.path).nonce())
			s.store.fails(method, apikey.ErrUnavailable)
			assert.Equal(t, http.StatusServiceUnavailable, v.do("POST", maker.path, maker.form.Encode()).StatusCode)
			s.store.fails("", nil)
			assert.Regexp(t, regexpKey, v.do("POST", maker.path, maker.form.Encode()).body)
		})
	}
}

// Each process has a dashboard of its own.
func TestFormMakesOneKeyInAllProcesses(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	other, err := newDashboard(s.handler.desk, Options{Authorize: ann})
	require.NoError(t, err)
	v, again := s.visitor(), s.visitor()
	again.at(http.StripPrefix("/admin", other), "/admin/")
	for name, maker := range makers(s) {
		t.Run(name, func(t *testing.T) {
			form := url.Values{"nonce": {v.get(maker.path).nonce()}, "begun": {time.Now().UTC().Add(-time.Minute).Format(time.RFC3339)}}
			for field, values := range maker.form {
				form[field] = values
			}
			require.Equal(t, http.StatusOK, v.do("POST", maker.path, form.Encode()).StatusCode)
			a := again.do("POST", maker.path, form.Encode())
			assert.Equal(t, http.StatusConflict, a.StatusCode)
			assert.Contains(t, a.body, "keys/"+s.newest().ID+`">View key`)
			form.Set("name", "Another name")
			form.Set("grace", "0")
			a = again.do("POST", maker.path, form.Encode())
			assert.Equal(t, http.StatusConflict, a.StatusCode, "for another key")
			assert.NotRegexp(t, regexpKey, a.body)
		})
	}
}

func TestFormCountsDaysFromItsTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 3, 4, 5, 6, 7, 0, time.UTC)
	v := inEnglish(now)
	for text, want := range map[string]time.Time{
		"2030-03-04T05:06:00Z": now.Add(-7 * time.Second), "2030-03-04T04:06:08Z": now.Add(-time.Hour + time.Second),
		"2030-03-04T04:06:07Z": now, "2030-03-04T05:06:08Z": now, "": now, "x": now,
	} {
		assert.Equal(t, want, v.begun(text), text)
	}
}

// A form of 64 KiB can name thousands of scopes. Quadratic work would take 4096 times as long here.
func TestFormWithManyScopesIsLinear(t *testing.T) {
	s := newSite(t, Options{Authorize: ann, Scopes: []string{"read"}})
	v := s.handler.visit(nil, &http.Request{URL: &url.URL{Path: "/add"}})
	var err error
	v.keys, err = s.handler.desk.As(administrator)
	require.NoError(t, err)
	duration := func(scopes int) time.Duration {
		var p keyForm
		for i := range scopes {
			p.Checked = append(p.Checked, strconv.Itoa(100_000+i))
		}
		best := time.Hour
		for range 5 { // the best of 5, because disturbances only add time
			begin := time.Now()
			v.unknownScopes(p.Checked, p.Checked)
			v.addPage(http.StatusOK, p)
			best = min(best, time.Since(begin))
		}
		return best
	}
	var few, many time.Duration
	for range 10 { // quadratic work exceeds the tolerance each time, a busy machine does not
		if few, many = duration(200), duration(64*200); many < 16*64*few {
			return
		}
	}
	t.Fatalf("200 scopes take %v, and 64 times as many %v", few, many)
}
