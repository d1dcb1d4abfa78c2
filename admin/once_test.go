package admin

import (
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestANewKeyIsInOneResponseOnly(t *testing.T) {
	t.Parallel()
	manager := hostSessions()
	sessions := &recordedSessions{Store: manager.Store}
	manager.Store = sessions
	s := newSite(t, Options{Sessions: manager})
	v := s.visitor()
	v.login()
	a := v.post("/admin/add", "name", "Backup job", "expiry", "90")
	require.Equal(t, http.StatusOK, a.StatusCode)
	secret := regexpKey.FindString(a.body)
	require.NotEmpty(t, secret)
	assert.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	header, err := json.Marshal(a.Header)
	require.NoError(t, err)
	assert.NotContains(t, string(header), secret)
	page, err := s.store.List(t.Context(), apikey.ListOptions{})
	require.NoError(t, err)
	for _, path := range []string{"/admin/", "/admin/add", "/admin/keys/" + page.Keys[0].ID} {
		assert.NotContains(t, v.get(path).body, secret, path)
	}
	assert.NotContains(t, s.log.String(), secret)
	assert.NotContains(t, sessions.written(), secret)
	for _, cookie := range v.cookies() {
		assert.NotContains(t, cookie.Value, secret)
	}
}

func TestADoubleClickMakesOneKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	form := url.Values{"token": {v.get("/admin/add").token()}, "name": {"Backup job"}, "expiry": {"never"}}.Encode()
	answers := make([]answer, 5)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = v.do("POST", "/admin/add", form) })
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
		assert.Contains(t, a.body, "sent already")
	}
	assert.Equal(t, 1, shown)
	assert.Equal(t, []string{"Backup job"}, s.keys())
}
