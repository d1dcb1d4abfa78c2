package emby_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/emby"
)

// listenKeys serves the endpoints as a host would.
func (s *service) listenKeys(t *testing.T) func(t *testing.T, request string) response {
	keys := emby.Keys(s.issuer)
	s.mux.Handle("/Auth/Keys", keys)
	s.mux.Handle("/Auth/Keys/", keys)
	return s.listen(t, emby.Paths(s.auth.Conceal(s.auth.Handler(s.mux))))
}

func decode[T any](t *testing.T, res response) (value T) {
	t.Helper()
	require.Equal(t, 200, res.StatusCode, res.body)
	require.NoError(t, json.Unmarshal([]byte(res.body), &value), res.body)
	return value
}

func TestWhoMayManageKeys(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	raw := s.listenKeys(t)
	for _, request := range []string{"GET /Auth/Keys", "POST /Auth/Keys?App=x", "DELETE /Auth/Keys/{m}", "POST /Auth/Keys/{m}/Delete", "PUT /Auth/Keys", "GET /Auth/Keys/x"} {
		assert.Equal(t, 401, raw(t, request).StatusCode, "%s without a key", request)
		res := raw(t, request+"\nX-Emby-Token: {K}")
		assert.Equal(t, 403, res.StatusCode, "%s with a plain key", request)
		assert.JSONEq(t, `{"type":"about:blank","title":"Forbidden","status":403,"detail":"The API key does not permit this request."}`, res.body)
	}
	assert.Equal(t, 401, serveWithout(s).Code, "where the host forgot the Middleware")
	page, err := s.store.List(t.Context(), apikey.ListOptions{Status: apikey.StatusActive})
	require.NoError(t, err)
	assert.Len(t, page.Keys, 2, "nothing was changed")
}

func serveWithout(s *service) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	emby.Keys(s.issuer).ServeHTTP(w, httptest.NewRequest("GET", "/Auth/Keys", nil))
	return w
}

func TestCreating(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	raw := s.listenKeys(t)
	const form = "\nX-Emby-Token: {M}\nContent-Type: application/x-www-form-urlencoded\nContent-Length: "
	for _, test := range []struct {
		name, request string
		status        int
		app           string
	}{
		{"App", "POST /Auth/Keys?App=Backup+job\nX-Emby-Token: {M}", 200, "Backup job"},
		{"app", "POST /Auth/Keys?app=x\nX-Emby-Token: {M}", 200, "x"},
		{"a name beyond ASCII", "POST /Auth/Keys?App=%E2%98%83\nX-Emby-Token: {M}", 200, "☃"},
		{"beside the key", "POST /emby/auth/keys?App=x&api_key={M}", 200, "x"},
		{"the content type of a form and no body", "POST /Auth/Keys?App=x" + form + "0\n\n", 200, "x"},
		{"in a form", "POST /Auth/Keys" + form + "5\n\nApp=x", 200, "x"},
		{"in both, the same", "POST /Auth/Keys?app=x" + form + "5\n\nApp=x", 200, "x"},
		{"a body of JSON", "POST /Auth/Keys?App=x\nX-Emby-Token: {M}\nContent-Type: application/json\nContent-Length: 2\n\n{}", 200, "x"},
		{"twice, not the same", "POST /Auth/Keys?App=x&app=y\nX-Emby-Token: {M}", 400, ""},
		{"no name", "POST /Auth/Keys\nX-Emby-Token: {M}", 400, ""},
		{"an empty name", "POST /Auth/Keys?App=\nX-Emby-Token: {M}", 400, ""},
		{"a blank name", "POST /Auth/Keys?App=%20\nX-Emby-Token: {M}", 400, ""},
		{"a name of 101 characters", "POST /Auth/Keys?App=" + strings.Repeat("x", 101) + "\nX-Emby-Token: {M}", 400, ""},
		{"a control character", "POST /Auth/Keys?App=a%0Ab\nX-Emby-Token: {M}", 400, ""},
		{"broken UTF-8", "POST /Auth/Keys?App=%FF\nX-Emby-Token: {M}", 400, ""},
		{"a broken form", "POST /Auth/Keys?App=x" + form + "3\n\n%zz", 400, ""},
		{"a form that is too large", "POST /Auth/Keys" + form + "20000\n\nApp=" + strings.Repeat("x", 20000-4), 413, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			res := raw(t, test.request)
			assert.Equal(t, test.status, res.StatusCode, res.body)
			assert.Equal(t, "no-store", res.Header.Get("Cache-Control"))
			if test.status != 200 {
				assert.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
				return
			}
			item := decode[map[string]any](t, res)
			assert.Equal(t, test.app, item["AppName"])
			key, _ := item["AccessToken"].(string)
			assert.Equal(t, 200, raw(t, "GET /System/Info\nX-Emby-Token: "+key).StatusCode, "the key works")
			assert.Equal(t, 403, raw(t, "GET /Auth/Keys\nX-Emby-Token: "+key).StatusCode, "and manages nothing")
			assert.NotContains(t, raw(t, "GET /Auth/Keys\nX-Emby-Token: {M}").body, key, "and is not shown again")
		})
	}
}

func TestCreatingTwiceMakesTwoKeys(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	raw := s.listenKeys(t)
	one := decode[map[string]any](t, raw(t, "POST /Auth/Keys?app=x\nX-Emby-Token: {M}"))
	two := decode[map[string]any](t, raw(t, "POST /Auth/Keys?app=x\nX-Emby-Token: {M}"))
	assert.NotEqual(t, one["AccessToken"], two["AccessToken"])
	assert.NotEqual(t, one["Id"], two["Id"])
	assert.Equal(t, []any{"x", "x", "Manager", "Plain"}, names(decode[list](t, raw(t, "GET /Auth/Keys\nX-Emby-Token: {M}"))))
}

func TestDeleting(t *testing.T) {
	t.Parallel()
	const foreign = "a/b+c=and-16-characters"
	for _, test := range []struct {
		name, request string
		gone          bool // the key named Victim
	}{
		{"the key itself", "DELETE /Auth/Keys/{V}", true},
		{"its ID", "DELETE /Auth/Keys/{v}", true},
		{"Emby's way", "POST /Auth/Keys/{V}/Delete", true},
		{"Emby's way, by the ID", "POST /Auth/Keys/{v}/Delete", true},
		{"a path of lower case, with a prefix", "DELETE /emby/auth/keys/{V}", true},
		{"Emby's way in lower case", "POST /mediabrowser/auth/keys/{V}/delete", true},
		{"with a slash at the end", "DELETE /Auth/Keys/{V}/", true},
		{"with dots, which a mux takes away", "DELETE /x/../Auth/Keys/{V}", true},
		{"an unknown key", "DELETE /Auth/Keys/{X}", false},
		{"what is no key", "DELETE /Auth/Keys/{W}", false},
		{"a revoked key", "DELETE /Auth/Keys/{R}", false},
		{"the hint", "DELETE /Auth/Keys/{H}", false},
		{"the key in another case", "DELETE /Auth/Keys/{U}", false},
		{"the digest", "DELETE /Auth/Keys/{D}", false},
		{"the name", "DELETE /Auth/Keys/Victim", false},
		{"what is no text", "DELETE /Auth/Keys/%00%FF", false},
		{"the placeholder", "DELETE /Auth/Keys/REDACTED", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, apikey.Options{})
			raw := s.listenKeys(t)
			secret, id := s.issue(t, apikey.Key{Name: "Victim"})
			key, err := s.store.Get(t.Context(), id)
			require.NoError(t, err)
			digest, err := s.issuer.Format().Digest(apikey.NewSecret(secret))
			require.NoError(t, err)
			request := strings.NewReplacer("{V}", secret, "{v}", id, "{H}", url.PathEscape(key.Hint),
				"{U}", strings.ToUpper(secret), "{D}", fmt.Sprintf("%x", digest)).Replace(test.request)
			res := raw(t, request+"\nX-Emby-Token: {M}")
			assert.Equal(t, 204, res.StatusCode, res.body)
			assert.Empty(t, res.body)
			want := 200
			if test.gone {
				want = 401
			}
			assert.Equal(t, want, raw(t, "GET /System/Info\nX-Emby-Token: "+secret).StatusCode)
			assert.Equal(t, 200, raw(t, "GET /System/Info\nX-Emby-Token: {K}").StatusCode, "the others go on")
		})
	}
	t.Run("its own key", func(t *testing.T) {
		t.Parallel()
		s := newService(t, apikey.Options{})
		raw := s.listenKeys(t)
		assert.Equal(t, 204, raw(t, "DELETE /Auth/Keys/{M}\nX-Emby-Token: {M}").StatusCode)
		assert.Equal(t, 401, raw(t, "GET /Auth/Keys\nX-Emby-Token: {M}").StatusCode)
	})
	t.Run("its ID, which has the shape of a foreign key", func(t *testing.T) {
		t.Parallel()
		format, err := apikey.NewFormat("ak", apikey.FormatOptions{AllowForeign: true})
		require.NoError(t, err)
		s := newService(t, apikey.Options{Format: format})
		raw := s.listenKeys(t)
		_, err = format.Digest(apikey.NewSecret(s.goodID))
		require.NoError(t, err)
		assert.Equal(t, 204, raw(t, "DELETE /Auth/Keys/{k}\nX-Emby-Token: {M}").StatusCode)
		assert.Equal(t, 401, raw(t, "GET /System/Info\nX-Emby-Token: {K}").StatusCode)
	})
	for _, written := range []string{url.PathEscape(foreign), "a%2Fb%2Bc%3Dand-16-characters"} {
		t.Run("a foreign key written "+written, func(t *testing.T) {
			t.Parallel()
			format, err := apikey.NewFormat("ak", apikey.FormatOptions{AllowForeign: true})
			require.NoError(t, err)
			s := newService(t, apikey.Options{Format: format})
			raw := s.listenKeys(t)
			_, err = s.issuer.Import(t.Context(), apikey.NewSecret(foreign), apikey.Key{Name: "Old"})
			require.NoError(t, err)
			require.Equal(t, 200, raw(t, "GET /System/Info\nX-Emby-Token: "+foreign).StatusCode)
			assert.Equal(t, 204, raw(t, "DELETE /Auth/Keys/"+written+"\nX-Emby-Token: {M}").StatusCode)
			assert.Equal(t, 401, raw(t, "GET /System/Info\nX-Emby-Token: "+foreign).StatusCode)
		})
	}
}

func TestWithoutPathsTheSameKeysAreManaged(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	raw := s.listen(t, s.auth.Handler(emby.Keys(s.issuer)))
	assert.Equal(t, 204, raw(t, "DELETE /Auth/Keys/{K}\nX-Emby-Token: {M}").StatusCode)
	assert.Equal(t, []any{"Manager"}, names(decode[list](t, raw(t, "GET /Auth/Keys\nX-Emby-Token: {M}"))))
}

func TestOtherMethodsAndPaths(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	raw := s.listenKeys(t)
	for _, test := range []struct {
		request string
		status  int
		allow   string
	}{
		{"PUT /Auth/Keys", 405, "GET, HEAD, POST"},
		{"GET /Auth/Keys/{k}", 405, "DELETE"},
		{"GET /Auth/Keys/{k}/Delete", 405, "POST"},
		{"POST /Auth/Keys/{k}/Other", 404, ""},
		{"DELETE /Auth/Keys/{k}/x/y", 404, ""},
	} {
		res := raw(t, test.request+"\nX-Emby-Token: {M}")
		assert.Equal(t, test.status, res.StatusCode, test.request)
		assert.Equal(t, test.allow, res.Header.Get("Allow"), test.request)
		assert.Equal(t, "application/problem+json", res.Header.Get("Content-Type"), test.request)
		assert.Contains(t, res.body, fmt.Sprintf(`"status":%d,"detail":"The`, test.status), test.request)
	}
	assert.Equal(t, 200, raw(t, "GET /System/Info\nX-Emby-Token: {K}").StatusCode, "nothing was deleted")
}

func TestKeysWithoutAnIssuerIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	assert.PanicsWithValue(t, "emby: Keys: the Issuer is nil or was not made by apikey.NewIssuer", func() { emby.Keys(nil) })
	assert.Panics(t, func() { emby.Keys(&apikey.Issuer{}) })
}
