package emby_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/emby"
	"github.com/latchkey-dev/apikey/manage"
)

// A caller manages keys with a key of its own.
type caller struct {
	t    *testing.T
	keys http.Handler
	key  string
}

// callers returns two callers of a service with ShowOnceMore.
func callers(t *testing.T) (s *service, one, other caller) {
	s = newService(t, apikey.Options{})
	keys := s.auth.Handler(newKeys(t, s.issuer, emby.ShowOnceMore()))
	second, _ := s.issue(t, apikey.NewKey{Name: "Second", Scopes: []string{manage.ScopeManage}})
	return s, caller{t, keys, s.manager}, caller{t, keys, second}
}

func (c caller) send(method, target string) *httptest.ResponseRecorder {
	c.t.Helper()
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("X-Emby-Token", c.key)
	w := httptest.NewRecorder()
	c.keys.ServeHTTP(w, r)
	return w
}

// create creates a key and returns it from the response.
func (c caller) create(name string) string {
	c.t.Helper()
	var made struct{ AccessToken string }
	require.NoError(c.t, json.Unmarshal(c.send("POST", "/Auth/Keys?App="+name).Body.Bytes(), &made))
	require.NotEmpty(c.t, made.AccessToken)
	return made.AccessToken
}

// last returns the AccessToken of the last item of a list, which clients use as the new key.
func (c caller) last(query string) string {
	c.t.Helper()
	var l list
	require.NoError(c.t, json.Unmarshal(c.send("GET", "/Auth/Keys"+query).Body.Bytes(), &l))
	require.NotEmpty(c.t, l.Items)
	for _, item := range l.Items[:len(l.Items)-1] {
		assert.Empty(c.t, item["AccessToken"], "AccessToken of an older key")
	}
	return l.Items[len(l.Items)-1]["AccessToken"].(string)
}

func TestShowOnceMore(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		before func(s *service, one, other caller) // between the POST and the list
		shown  bool
	}{
		{"at once", func(_ *service, _, _ caller) {}, true},
		{"within a minute", func(_ *service, _, _ caller) { time.Sleep(time.Minute - time.Nanosecond) }, true},
		{"not after a minute", func(_ *service, _, _ caller) { time.Sleep(time.Minute); synctest.Wait() }, false},
		{"not a second time", func(_ *service, one, _ caller) { one.last("") }, false},
		{"after a list of another caller", func(_ *service, _, other caller) { assert.Empty(other.t, other.last("")) }, true},
		{"after a HEAD", func(_ *service, one, _ caller) { one.send("HEAD", "/Auth/Keys") }, true},
		{"after a list without it", func(_ *service, one, _ caller) { one.last("?Limit=1") }, true},
		{"not after the revocation of its creator", func(s *service, one, _ caller) {
			_, err := s.store.Revoke(one.t.Context(), s.managerID)
			require.NoError(one.t, err)
		}, false},
		{"after 99 others", func(_ *service, _, other caller) {
			for i := range 99 {
				other.create(fmt.Sprint(i))
			}
		}, true},
		{"not after 100 others", func(_ *service, _, other caller) {
			for i := range 100 {
				other.create(fmt.Sprint(i))
			}
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, one, other := callers(t)
				key := one.create("Hub")
				test.before(s, one, other)
				body := one.send("GET", "/Auth/Keys").Body.String()
				if test.shown {
					assert.Contains(t, body, `"AccessToken":"`+key+`","AppName":"Hub"`)
				} else {
					assert.NotContains(t, body, key)
				}
				assert.NotContains(t, one.send("GET", "/Auth/Keys").Body.String(), key, "a second list")
				assert.NotContains(t, other.send("GET", "/Auth/Keys").Body.String(), key, "a list of another caller")
			})
		})
	}
}

func TestNewKeyIsTheLastItem(t *testing.T) {
	t.Parallel()
	_, one, other := callers(t)
	for i := range 3 {
		key := one.create(fmt.Sprint(i))
		assert.Equal(t, key, one.last(""))
		assert.Empty(t, other.last(""))
	}
}

func TestListsShowNoKeyByDefault(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	c := caller{t, s.auth.Handler(newKeys(t, s.issuer)), s.manager}
	c.create("Hub")
	assert.Empty(t, c.last(""))
}
