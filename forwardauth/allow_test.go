package forwardauth_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/forwardauth"
)

func TestAllowNamesTheCaller(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		key                     *apikey.Key
		id, name, owner, scopes string
	}{
		"a key with everything": {&apikey.Key{ID: "k_1", Name: "Backup", Owner: "acme", Scopes: []string{"a:read", "b"}}, "k_1", "Backup", "acme", "a:read b"},
		"a key without owner":   {&apikey.Key{ID: "k_1", Name: "Backup"}, "k_1", "Backup", "", ""},
		"no key":                {nil, "", "", "", ""},
		"names of other scripts": {&apikey.Key{ID: "k_1", Name: "Büro 日本", Owner: "a+b, c%"},
			"k_1", "B%C3%BCro%20%E6%97%A5%E6%9C%AC", "a%2Bb%2C%20c%25", ""},
		"line breaks of a faulty store": {&apikey.Key{ID: "k\r\nSet-Cookie: a", Name: "a\r\nb", Owner: "\n", Scopes: []string{"a admin", "b\r\nc"}},
			"k%0D%0ASet-Cookie%3A%20a", "a%0D%0Ab", "%0A", "a%20admin b%0D%0Ac"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		if test.key != nil {
			r = r.WithContext(apikey.NewContext(r.Context(), *test.key))
		}
		w := httptest.NewRecorder()
		w.Header().Set("X-Apikey-Name", "forged")
		w.Header().Set("Cache-Control", "private")
		forwardauth.Allow().ServeHTTP(w, r)
		assert.Equal(t, http.StatusOK, w.Code, name)
		assert.Empty(t, w.Body.String(), name)
		assert.Equal(t, http.Header{
			"X-Apikey-Id": {test.id}, "X-Apikey-Name": {test.name}, "X-Apikey-Owner": {test.owner}, "X-Apikey-Scopes": {test.scopes},
			"Cache-Control": {"no-store"},
		}, w.Header(), name)
		if test.key != nil {
			decoded, err := url.PathUnescape(w.Header().Get("X-Apikey-Name"))
			require.NoError(t, err)
			assert.Equal(t, test.key.Name, decoded, name)
		}
	}
}
