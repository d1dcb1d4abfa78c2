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
	"github.com/latchkey-dev/apikey/manage"
)

// listenKeys serves Keys behind Paths and the Middleware, as a service does.
func (s *service) listenKeys(t *testing.T) func(t *testing.T, request string) response {
	keys := newKeys(t, s.issuer)
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

func TestKeysNeedsTheScope(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	raw := s.listenKeys(t)
	for _, request := range []string{"GET /Auth/Keys", "POST /Auth/Keys?App=x", "DELETE /Auth/Keys/{m}", "POST /Auth/Keys/{m}/Delete", "PUT /Auth/Keys", "GET /Auth/Keys/x"} {
		assert.Equal(t, 401, raw(t, request).StatusCode, "%s without a key", request)
		res := raw(t, request+"\nX-Emby-Token: {K}")
		assert.Equal(t, 403, res.StatusCode, "%s with a plain key", request)
		assert.JSONEq(t, `{"type":"about:blank","title":"Forbidden","status":403,"detail":"The API key does not permit this request."}`, res.body)
	}
	assert.Equal(t, 401, serveWithoutMiddleware(t, s).Code, "without the Middleware")
	page, err := s.store.List(t.Context(), apikey.ListOptions{Status: apikey.StatusActive})
	require.NoError(t, err)
	assert.Len(t, page.Keys, 2, "nothing has changed")
}

func serveWithoutMiddleware(t *testing.T, s *service) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	newKeys(t, s.issuer).ServeHTTP(w, httptest.NewRequest("GET", "/Auth/Keys", nil))
	return w
}

func TestCreateKey(t *testing.T) {
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
		{"a name with letters beyond ASCII", "POST /Auth/Keys?App=%E2%98%83\nX-Emby-Token: {M}", 200, "☃"},
		{"App beside the key in the query", "POST /emby/auth/keys?App=x&api_key={M}", 200, "x"},
		{"the content type of a form without a body", "POST /Auth/Keys?App=x" + form + "0\n\n", 200, "x"},
		{"App in a form", "POST /Auth/Keys" + form + "5\n\nApp=x", 200, "x"},
		{"the same App in the query and a form", "POST /Auth/Keys?app=x" + form + "5\n\nApp=x", 200, "x"},
		{"a JSON body is ignored", "POST /Auth/Keys?App=x\nX-Emby-Token: {M}\nContent-Type: application/json\nContent-Length: 2\n\n{}", 200, "x"},
		{"two different values", "POST /Auth/Keys?App=x&app=y\nX-Emby-Token: {M}", 400, ""},
		{"no App", "POST /Auth/Keys\nX-Emby-Token: {M}", 400, ""},
		{"an empty App", "POST /Auth/Keys?App=\nX-Emby-Token: {M}", 400, ""},
		{"only a space", "POST /Auth/Keys?App=%20\nX-Emby-Token: {M}", 400, ""},
		{"101 characters", "POST /Auth/Keys?App=" + strings.Repeat("x", 101) + "\nX-Emby-Token: {M}", 400, ""},
		{"a control character", "POST /Auth/Keys?App=a%0Ab\nX-Emby-Token: {M}", 400, ""},
		{"invalid UTF-8", "POST /Auth/Keys?App=%FF\nX-Emby-Token: {M}", 400, ""},
		{"a malformed form", "POST /Auth/Keys?App=x" + form + "3\n\n%zz", 400, ""},
		{"a form larger than 16 KiB", "POST /Auth/Keys" + form + "20000\n\nApp=" + strings.Repeat("x", 20000-4), 413, ""},
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
			assert.Equal(t, 200, raw(t, "GET /System/Info\nX-Emby-Token: "+key).StatusCode, "the new key works")
			assert.Equal(t, 403, raw(t, "GET /Auth/Keys\nX-Emby-Token: "+key).StatusCode, "the new key manages no keys")
			assert.NotContains(t, raw(t, "GET /Auth/Keys\nX-Emby-Token: {M}").body, key, "the list does not show the new key")
		})
	}
}

func TestTwoPOSTsCreateTwoKeys(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	raw := s.listenKeys(t)
	one := decode[map[string]any](t, raw(t, "POST /Auth/Keys?app=x\nX-Emby-Token: {M}"))
	two := decode[map[string]any](t, raw(t, "POST /Auth/Keys?app=x\nX-Emby-Token: {M}"))
	assert.NotEqual(t, one["AccessToken"], two["AccessToken"])
	assert.NotEqual(t, one["Id"], two["Id"])
	assert.Equal(t, []any{"Plain", "Manager", "x", "x"}, names(decode[list](t, raw(t, "GET /Auth/Keys\nX-Emby-Token: {M}"))))
}

func TestRevokeKey(t *testing.T) {
	t.Parallel()
	const importedKey = "a/b+c=and-16-characters"
	for _, test := range []struct {
		name, request string
		revoked       bool // the key named Victim
	}{
		{"the key itself", "DELETE /Auth/Keys/{V}", true},
		{"the ID", "DELETE /Auth/Keys/{v}", true},
		{"Emby's POST", "POST /Auth/Keys/{V}/Delete", true},
		{"Emby's POST with the ID", "POST /Auth/Keys/{v}/Delete", true},
		{"a lower-case path with a prefix", "DELETE /emby/auth/keys/{V}", true},
		{"Emby's POST in lower case", "POST /mediabrowser/auth/keys/{V}/delete", true},
		{"a slash at the end", "DELETE /Auth/Keys/{V}/", true},
		{"dot segments, which a ServeMux would resolve", "DELETE /x/../Auth/Keys/{V}", true},
		{"an unknown key", "DELETE /Auth/Keys/{X}", false},
		{"a text that is not a key", "DELETE /Auth/Keys/{W}", false},
		{"a revoked key", "DELETE /Auth/Keys/{R}", false},
		{"the hint", "DELETE /Auth/Keys/{H}", false},
		{"the key in another case", "DELETE /Auth/Keys/{U}", false},
		{"the digest", "DELETE /Auth/Keys/{D}", false},
		{"the name", "DELETE /Auth/Keys/Victim", false},
		{"bytes that are not text", "DELETE /Auth/Keys/%00%FF", false},
		{"the placeholder", "DELETE /Auth/Keys/REDACTED", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, apikey.Options{})
			raw := s.listenKeys(t)
			secret, id := s.issue(t, apikey.NewKey{Name: "Victim"})
			key, err := s.store.Get(t.Context(), id)
			require.NoError(t, err)
			digest, err := s.issuer.Format().Digest(apikey.NewSecret(secret))
			require.NoError(t, err)
			request := strings.NewReplacer("{V}", secret, "{v}", id, "{H}", url.PathEscape(key.Hint),
				"{U}", strings.ToUpper(secret), "{D}", fmt.Sprintf("%x", digest[:])).Replace(test.request)
			res := raw(t, request+"\nX-Emby-Token: {M}")
			assert.Equal(t, 204, res.StatusCode, res.body)
			assert.Empty(t, res.body)
			want := 200
			if test.revoked {
				want = 401
			}
			assert.Equal(t, want, raw(t, "GET /System/Info\nX-Emby-Token: "+secret).StatusCode)
			assert.Equal(t, 200, raw(t, "GET /System/Info\nX-Emby-Token: {K}").StatusCode, "other keys still work")
		})
	}
	t.Run("the key of the request", func(t *testing.T) {
		t.Parallel()
		s := newService(t, apikey.Options{})
		raw := s.listenKeys(t)
		assert.Equal(t, 204, raw(t, "DELETE /Auth/Keys/{M}\nX-Emby-Token: {M}").StatusCode)
		assert.Equal(t, 401, raw(t, "GET /Auth/Keys\nX-Emby-Token: {M}").StatusCode)
	})
	t.Run("an ID that has the shape of an imported key", func(t *testing.T) {
		t.Parallel()
		format, err := apikey.NewFormat("ak", apikey.FormatOptions{AllowImported: true})
		require.NoError(t, err)
		s := newService(t, apikey.Options{Format: format})
		raw := s.listenKeys(t)
		_, err = format.Digest(apikey.NewSecret(s.goodID))
		require.NoError(t, err)
		assert.Equal(t, 204, raw(t, "DELETE /Auth/Keys/{k}\nX-Emby-Token: {M}").StatusCode)
		assert.Equal(t, 401, raw(t, "GET /System/Info\nX-Emby-Token: {K}").StatusCode)
	})
	t.Run("a text that is one key and the ID of another revokes neither", func(t *testing.T) {
		t.Parallel()
		format, err := apikey.NewFormat("ak", apikey.FormatOptions{AllowImported: true})
		require.NoError(t, err)
		s := newService(t, apikey.Options{Format: format})
		raw := s.listenKeys(t)
		imported, err := s.issuer.Import(t.Context(), apikey.ImportedKey{Secret: apikey.NewSecret(s.goodID), Name: "Imported"})
		require.NoError(t, err)
		for _, request := range []string{"DELETE /Auth/Keys/{k}", "POST /emby/auth/keys/{k}/delete"} {
			res := raw(t, request+"\nX-Emby-Token: {M}")
			assert.Equal(t, 409, res.StatusCode, res.body)
			assert.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
			assert.NotContains(t, res.body, s.goodID)
		}
		assert.Equal(t, 200, raw(t, "GET /System/Info\nX-Emby-Token: {K}").StatusCode)
		assert.Equal(t, 200, raw(t, "GET /System/Info\nX-Emby-Token: {k}").StatusCode)

		assert.Equal(t, 204, raw(t, "DELETE /Auth/Keys/"+imported.ID+"\nX-Emby-Token: {M}").StatusCode, "the ID names the imported key")
		assert.Equal(t, 401, raw(t, "GET /System/Info\nX-Emby-Token: {k}").StatusCode)
		assert.Equal(t, 200, raw(t, "GET /System/Info\nX-Emby-Token: {K}").StatusCode)
		assert.Equal(t, 204, raw(t, "DELETE /Auth/Keys/{K}\nX-Emby-Token: {M}").StatusCode, "the key itself names the other")
		assert.Equal(t, 401, raw(t, "GET /System/Info\nX-Emby-Token: {K}").StatusCode)
	})
	for _, written := range []string{url.PathEscape(importedKey), "a%2Fb%2Bc%3Dand-16-characters"} {
		t.Run("an imported key written "+written, func(t *testing.T) {
			t.Parallel()
			format, err := apikey.NewFormat("ak", apikey.FormatOptions{AllowImported: true})
			require.NoError(t, err)
			s := newService(t, apikey.Options{Format: format})
			raw := s.listenKeys(t)
			_, err = s.issuer.Import(t.Context(), apikey.ImportedKey{Secret: apikey.NewSecret(importedKey), Name: "Old"})
			require.NoError(t, err)
			require.Equal(t, 200, raw(t, "GET /System/Info\nX-Emby-Token: "+importedKey).StatusCode)
			assert.Equal(t, 204, raw(t, "DELETE /Auth/Keys/"+written+"\nX-Emby-Token: {M}").StatusCode)
			assert.Equal(t, 401, raw(t, "GET /System/Info\nX-Emby-Token: "+importedKey).StatusCode)
		})
	}
}

func TestKeysWorksWithoutPaths(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	raw := s.listen(t, s.auth.Handler(newKeys(t, s.issuer)))
	assert.Equal(t, 204, raw(t, "DELETE /Auth/Keys/{K}\nX-Emby-Token: {M}").StatusCode)
	assert.Equal(t, []any{"Manager"}, names(decode[list](t, raw(t, "GET /Auth/Keys\nX-Emby-Token: {M}"))))
}

func TestKeysRefusesOtherMethodsAndPaths(t *testing.T) {
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
	assert.Equal(t, 200, raw(t, "GET /System/Info\nX-Emby-Token: {K}").StatusCode, "no key was revoked")
}

func TestKeysRefusesNonsense(t *testing.T) {
	t.Parallel()
	desk, err := manage.New(newService(t, apikey.Options{}).issuer)
	require.NoError(t, err)
	for _, test := range []struct {
		name    string
		desk    *manage.Desk
		options []emby.KeysOption
		problem string
	}{
		{"no Desk", nil, nil, "Desk: nil; want one made by manage.New"},
		{"a Desk that manage.New did not make", new(manage.Desk), nil, "Desk: nil; want one made by manage.New"},
		{"AccessOf without a function", desk, []emby.KeysOption{emby.AccessOf(nil)}, "AccessOf: nil; want a function"},
	} {
		keys, err := emby.Keys(test.desk, test.options...)
		assert.Nil(t, keys, test.name)
		require.ErrorIs(t, err, apikey.ErrInvalid, test.name)
		assert.ErrorContains(t, err, test.problem, test.name)
	}
}
