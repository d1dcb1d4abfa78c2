package admin

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Both forms that make a key, sent where they are.
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

func TestANewKeyIsInOneResponseOnly(t *testing.T) {
	t.Parallel()
	manager := hostSessions()
	sessions := &recordedSessions{Store: manager.Store}
	manager.Store = sessions
	s := newSite(t, Options{Sessions: manager})
	v := s.visitor()
	v.login()
	for name, maker := range makers(s) {
		t.Run(name, func(t *testing.T) {
			maker.form.Set("token", v.get(maker.path).token())
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

func TestADoubleClickMakesOneKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	for name, maker := range makers(s) {
		t.Run(name, func(t *testing.T) {
			before := len(s.keys())
			maker.form.Set("token", v.get(maker.path).token())
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
				assert.Contains(t, a.body, "sent already")
			}
			assert.Equal(t, 1, shown)
			assert.Len(t, s.keys(), before+1)
		})
	}
}

func TestTheOldestFormsAreForgotten(t *testing.T) {
	t.Parallel()
	o := newOnce()
	send := func(i int) bool {
		_, first, err := o.do(t.Context(), strconv.Itoa(i), func() (string, error) { return "id", nil })
		require.NoError(t, err)
		return first
	}
	for i := range maxOnce {
		require.True(t, send(i))
	}
	assert.False(t, send(0), "all are remembered")
	assert.True(t, send(maxOnce))
	assert.True(t, send(0), "the oldest made room")
	assert.False(t, send(maxOnce))
	assert.LessOrEqual(t, len(o.forms), maxOnce)
	assert.LessOrEqual(t, len(o.order), maxOnce)
}

func TestAFormThatFailedMayBeSentAgain(t *testing.T) {
	t.Parallel()
	o := newOnce()
	_, _, err := o.do(t.Context(), "form", func() (string, error) { return "", errRotated })
	require.ErrorIs(t, err, errRotated)
	id, first, err := o.do(t.Context(), "form", func() (string, error) { return "id", nil })
	require.NoError(t, err)
	assert.True(t, first)
	assert.Equal(t, "id", id)
}
