package admin

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestListFilters(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	s.make(apikey.NewKey{Name: "Soon", Owner: "Ops & co", Scopes: []string{"a:read"}, ExpiresAt: time.Now().Add(6 * day)})
	s.make(apikey.NewKey{Name: "Later", Owner: "Ops & co", ExpiresAt: time.Now().Add(29 * day)})
	s.make(apikey.NewKey{Name: "Endless", Owner: "Media", Scopes: []string{"a:read", "b:read"}})
	for name, age := range map[string]time.Duration{"Old": 31 * day, "Older": 91 * day} {
		key := apikey.Key{ID: name, Name: name, CreatedAt: time.Now().Add(-age)}
		require.NoError(t, s.store.Create(t.Context(), apikey.Digest{name[len(name)-1]}, key))
	}
	v := s.visitor()
	for query, want := range map[string]string{
		"owner=Ops+%26+co": "Later Soon", "owner=unknown": "", "scope=a:read": "Endless Soon", "scope=a:read&owner=Media": "Endless",
		"expires=7": "Soon", "expires=30": "Later Soon", "unused=30": "Old Older", "unused=90": "Older", "unused=30&status=revoked": "",
	} {
		body := v.get("/admin/?" + query).body
		var names []string
		for _, name := range []string{"Endless", "Later", "Old", "Older", "Soon"} {
			if strings.Contains(body, "<bdi>"+name+"</bdi>") {
				names = append(names, name)
			}
		}
		assert.Equal(t, want, strings.Join(names, " "), query)
		assert.Contains(t, body, "<details open>", query)
		assert.NotContains(t, body, "No API keys yet", query)
	}
	body := v.get("/admin/?status=all&sort=name").body
	assert.NotContains(t, body, "<details open>")
	assert.Contains(t, body, `href="./?owner=Ops&#43;%26&#43;co&amp;sort=name&amp;status=all"`)
	assert.Contains(t, body, `href="./?scope=b%3Aread&amp;sort=name&amp;status=all"`)
	for _, bad := range []string{"expires=8", "unused=x"} {
		assert.Equal(t, http.StatusBadRequest, v.get("/admin/?"+bad).StatusCode, bad)
	}
	s.handler.touched = false
	assert.NotContains(t, v.get("/admin/").body, `name="unused"`)
}

func TestMistypedFilterShowsAProblem(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	s.issue("Backup job")
	v := s.visitor()
	for query, field := range map[string]string{"scope=a+b": "scope", "scope=%22": "scope", "owner=%00": "owner", "search=%00": "search"} {
		a := v.get("/admin/?" + query)
		assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode, query)
		assert.Contains(t, a.body, `aria-describedby="`+field+`-problem"`, query)
		assert.Equal(t, 1, strings.Count(a.body, `-problem" role="alert"`), query)
		assert.Equal(t, field != "search", strings.Contains(a.body, "<details open>"), query)
		assert.NotContains(t, a.body, "Backup job", query)
	}
}

func TestFiltersMoveIntoTheURL(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	const owner = "550e8400-e29b-41d4-a716-446655440000"
	secret, key := s.issue("Backup job")
	s.make(apikey.NewKey{Name: "Other job", Owner: owner})
	for form, want := range map[string]string{
		"search=&owner=+Media+&scope=a&expires=7&unused=30&status=all": "./?expires=7&owner=Media&scope=a&status=all&unused=30",
		"owner=" + owner:    "./?owner=" + owner,
		"owner=" + secret:   "./keys/" + key.ID,
		"scope=x:" + secret: "./keys/" + key.ID,
		"owner=650e8400-e29b-41d4-a716-446655440000": "",
		"scope=sk_live_" + strings.Repeat("a1B2", 8): "",
		"owner=" + strings.Repeat("x", 101):          "",
	} {
		a := s.visitor().do("POST", "/admin/", form)
		assert.Equal(t, want, a.Header.Get("Location"), form)
		if want == "" {
			assert.Equal(t, http.StatusNotFound, a.StatusCode, form)
		}
	}
}

// A rareScope is a store with so many keys that no page before the second one has a key with the scope.
type rareScope struct{ plain }

func (s rareScope) List(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
	if o.Scope != "" && o.Cursor == "" {
		return apikey.Page{Next: "second"}, nil
	}
	o.Cursor = ""
	return s.KeyManager.List(ctx, o)
}

func TestARareScopeThatLooksLikeAKeyIsFound(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	const scope = "urn:uuid:550e8400-e29b-41d4-a716-446655440000"
	s.make(apikey.NewKey{Name: "Backup job", Scopes: []string{scope}})
	s.over(rareScope{plain{s.store}}, apikey.IssuerOptions{})
	a := s.visitor().do("POST", "/admin/", url.Values{"scope": {scope}}.Encode())
	assert.Equal(t, "./?scope="+url.QueryEscape(scope), a.Header.Get("Location"))
}

func TestFiltersStayOnOtherPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	for range pageSize + 1 {
		s.make(apikey.NewKey{Name: "Backup job", Owner: "Ops"})
	}
	v := s.visitor()
	path, second := v.follow("/admin/?owner=Ops", v.get("/admin/?owner=Ops"), regexpNext)
	assert.Contains(t, path, "owner=Ops")
	assert.Equal(t, 1, strings.Count(second.body, "<bdi>Backup job</bdi>"))
	assert.Contains(t, second.body, ">51 keys<")
}
