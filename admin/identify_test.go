package admin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// A pasted key appears in no URL, page or log.
func TestPastedKeyLeadsToItsPage(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	secret, key := s.issue("Backup job")
	dead, deadKey := s.issue("Dead job")
	_, err := s.store.Revoke(t.Context(), deadKey.ID)
	require.NoError(t, err)
	last := "0"
	if strings.HasSuffix(secret, last) {
		last = "1"
	}
	unknown := secret[:len(secret)-1] + last
	for _, test := range []struct{ name, text, id string }{
		{"alone", secret, key.ID},
		{"between spaces", "  " + secret + "\r\n", key.ID},
		{"in a header", "X-Emby-Token: " + secret, key.ID},
		{"in a URL", "http://localhost:8096/emby/System/Info?x=y&api_key=" + secret + "&z=1", key.ID},
		{"in a line of JSON", `{"token":"` + secret + `"}`, key.ID},
		{"revoked", dead, deadKey.ID},
		{"mistyped", unknown, ""},
		{"of another service", "sk_live_" + strings.Repeat("a1B2", 8), ""},
		{"long", strings.Repeat("a1B2", 1000), ""},
	} {
		for _, form := range []struct{ path, field string }{{"/admin/identify", "key"}, {"/admin/", "search"}} {
			t.Run(test.name+" in "+form.path, func(t *testing.T) {
				v := s.visitor()
				body := url.Values{"nonce": {v.get("/admin/identify").nonce()}, form.field: {test.text}}
				a := v.do("POST", form.path, body.Encode())
				if test.id == "" {
					assert.Equal(t, http.StatusNotFound, a.StatusCode)
					assert.Contains(t, a.body, "This is not a key of this service.")
				} else {
					assert.Equal(t, http.StatusSeeOther, a.StatusCode)
					assert.Equal(t, "./keys/"+test.id, a.Header.Get("Location"))
				}
				assert.NotContains(t, a.body, strings.TrimSpace(test.text))
				assert.NotContains(t, s.log.String(), strings.TrimSpace(test.text))
			})
		}
	}
	found, err := s.store.Get(t.Context(), key.ID)
	require.NoError(t, err)
	assert.Zero(t, found.LastUsedAt, "finding a key does not use it")
}

func TestSearchFindsAnImportedKeyThatLooksLikeAWord(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	format, err := apikey.NewFormat("ak", apikey.FormatOptions{AllowImported: true})
	require.NoError(t, err)
	s.limit(apikey.IssuerOptions{Format: format})
	key, err := s.issuer.Import(t.Context(), apikey.ImportedKey{Secret: apikey.NewSecret("correct-horse-battery"), Name: "Old system"})
	require.NoError(t, err)
	a := s.visitor().do("POST", "/admin/", url.Values{"search": {"correct-horse-battery"}}.Encode())
	assert.Equal(t, "./keys/"+key.ID, a.Header.Get("Location"))
	a = s.visitor().do("POST", "/admin/", url.Values{"search": {"correct-horse-staple"}}.Encode())
	assert.Equal(t, "./?search=correct-horse-staple", a.Header.Get("Location"))
}

// The form of the list uses POST. The URL comes from a bookmark or was typed.
func TestKeyInAURLIsNotSearchedOrShown(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	secret, _ := s.issue("Backup job")
	v := s.visitor()
	s.store.fails("List", apikey.ErrUnavailable) // shows that the store is not asked
	a := v.get("/admin/?sort=name&search=" + secret)
	assert.Equal(t, http.StatusOK, a.StatusCode)
	assert.NotContains(t, a.body, secret)
	assert.Contains(t, a.body, "This looks like a key")
	assert.Contains(t, a.body, `href="./identify"`)

	login := newSite(t, Options{}).visitor().get("/admin/?sort=name&search=" + secret)
	assert.Equal(t, "./login?next=%3Fsort%3Dname", login.Header.Get("Location"))
}

func TestLooksLikeKey(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"ak_" + strings.Repeat("a", 36): true, "ak_" + strings.Repeat("1", 35): true, "0123456789abcdef0123456789ABCDEF": true, "123456789987654321": true,
		"550e8400-e29b-41d4-a716-446655440000": true, "Bearer " + strings.Repeat("x7Qd", 9): true, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.x": true,
		"": false, "Backup job": false, "ak_…x7Qd": false, "x7Qd": false, "W3Sl0CqlsPWBptfU": false, "integration-test-2026-prod": false, "library:read:everything": false,
		"Donaudampfschifffahrt": false, "2026-11-25": false, "مفتاح النسخ الاحتياطي": false, "ann@example.com": false,
	} {
		assert.Equal(t, want, looksLikeKey(text), text)
	}
}
