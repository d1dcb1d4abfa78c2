package handlertest

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// TestLibraryGreetsItsCaller puts an identity into the context and tests the handler alone.
func TestLibraryGreetsItsCaller(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/library", nil)
	ctx := apikey.NewContext(r.Context(), apikey.Key{ID: "test", Name: "Backup job", Scopes: []string{"library:read"}})
	w := httptest.NewRecorder()
	newLibrary().ServeHTTP(w, r.WithContext(ctx))
	assert.Equal(t, "The library, for Backup job.\n", w.Body.String())
}

// TestLibraryNeedsItsScope tests the responses to callers without the scope in the same way.
func TestLibraryNeedsItsScope(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		key    *apikey.Key
		status int
	}{
		"no key":        {nil, http.StatusUnauthorized},
		"another scope": {&apikey.Key{ID: "test", Scopes: []string{"library:write"}}, http.StatusForbidden},
		"the scope":     {&apikey.Key{ID: "test", Scopes: []string{"library:read"}}, http.StatusOK},
		"two scopes":    {&apikey.Key{ID: "test", Scopes: []string{"other", "library:read"}}, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/library", nil)
			if test.key != nil {
				r = r.WithContext(apikey.NewContext(r.Context(), *test.key))
			}
			w := httptest.NewRecorder()
			newLibrary().ServeHTTP(w, r)
			assert.Equal(t, test.status, w.Code)
		})
	}
}

// TestLibraryBehindTheMiddleware tests the whole service with a key in a memstore.
func TestLibraryBehindTheMiddleware(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{})
	require.NoError(t, err)
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	secret, key, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job", Scopes: []string{"library:read"}})
	require.NoError(t, err)
	get := func() int {
		r := httptest.NewRequest("GET", "/library", nil)
		r.Header.Set("X-API-Key", secret.Reveal())
		w := httptest.NewRecorder()
		auth.Handler(newLibrary()).ServeHTTP(w, r)
		return w.Code
	}
	assert.Equal(t, http.StatusOK, get())
	_, err = store.Revoke(t.Context(), key.ID)
	require.NoError(t, err)
	assert.Equal(t, http.StatusUnauthorized, get())
}
