package admin

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestListKeepsItsStateInTheURL(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	for i := range pageSize + 1 {
		s.issue(fmt.Sprintf("Job %02d", i))
	}
	v := s.visitor()
	v.login()
	a := v.get("/admin/?search=job&sort=name&status=active")
	for _, text := range []string{`value="job"`, `value="name" selected`, `value="active" selected`, "Job 00", "Job 49"} {
		assert.Contains(t, a.body, text)
	}
	assert.NotContains(t, a.body, "Job 50")
	next := regexpNext.FindStringSubmatch(a.body)
	require.Len(t, next, 2)
	second := v.get("/admin/" + strings.TrimPrefix(strings.ReplaceAll(next[1], "&amp;", "&"), "./"))
	assert.Contains(t, second.body, "Job 50")
	assert.NotContains(t, second.body, "Job 49")
	assert.Contains(t, second.body, `href="./?search=job&amp;sort=name&amp;status=active">First page`)
	for _, bad := range []string{"?status=x", "?sort=x", "?cursor=x", "?cursor=" + url.QueryEscape(next[1])} {
		assert.Equal(t, http.StatusBadRequest, v.get("/admin/"+bad).StatusCode, bad)
	}
}

func TestSearchRedirectsToALinkableList(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	for form, want := range map[string]string{
		"search=+backup+&status=revoked&sort=name": "./?search=backup&sort=name&status=revoked",
		"search=&status=active&sort=":              "./?status=active",
		"":                                         "./",
		"search=x&token=SECRET&api_key=SECRET":     "./?search=x",
	} {
		a := s.visitor().do("POST", "/admin/", form+"&x=y")
		assert.Equal(t, http.StatusSeeOther, a.StatusCode)
		assert.Equal(t, want, a.Header.Get("Location"), form)
	}
}

func TestListShowsActiveKeysByDefault(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	s.issue("Living job")
	_, dead := s.issue("Dead job")
	_, err := s.store.Revoke(t.Context(), dead.ID)
	require.NoError(t, err)
	v := s.visitor()
	for query, want := range map[string][2]bool{
		"": {true, false}, "?status=active": {true, false}, "?status=revoked": {false, true}, "?status=all": {true, true}, "?search=job": {true, false},
		"?search=job&status=all": {true, true}, "?sort=expires": {true, false},
	} {
		body := v.get("/admin/" + query).body
		assert.Equal(t, want, [2]bool{strings.Contains(body, "Living job"), strings.Contains(body, "Dead job")}, query)
	}
	nothing := v.get("/admin/?search=dead&sort=name").body
	assert.Contains(t, nothing, "No active key matches")
	assert.Contains(t, nothing, `href="./?search=dead&amp;sort=name&amp;status=all">Search all keys`)
	assert.NotContains(t, nothing, "No API keys yet")
}

func TestListOfRevokedKeysIsNotEmpty(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	v := s.visitor()
	assert.Contains(t, v.get("/admin/").body, "No API keys yet")
	_, key := s.issue("Dead job")
	_, err := s.store.Revoke(t.Context(), key.ID)
	require.NoError(t, err)
	body := v.get("/admin/").body
	assert.NotContains(t, body, "No API keys yet")
	assert.Contains(t, body, "Search all keys")
}

func TestSearchFindsOwnersAndScopes(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	s.make(apikey.NewKey{Name: "Backup job", Owner: "Operations", Scopes: []string{"library:read"}})
	s.make(apikey.NewKey{Name: "Other job"})
	for _, search := range []string{"operations", "library", "backup", "LIBRARY:READ"} {
		body := s.visitor().get("/admin/?search=" + search).body
		assert.Contains(t, body, "<bdi>Backup job</bdi>", search)
		assert.NotContains(t, body, "<bdi>Other job</bdi>", search)
	}
}

func TestRowShowsFewScopes(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	for _, n := range []int{1, fewScopes + 1, 40} {
		key := apikey.NewKey{Name: fmt.Sprintf("with %d", n)}
		for i := range n {
			key.Scopes = append(key.Scopes, fmt.Sprintf("scope:%02d", i))
		}
		_, made, err := s.issuer.Issue(t.Context(), key)
		require.NoError(t, err)
		body := s.visitor().get("/admin/?search=" + url.QueryEscape(key.Name)).body
		shown := strings.Count(body, `<code class="scope"`)
		if n <= fewScopes+1 {
			assert.Equal(t, n, shown)
			assert.NotContains(t, body, `class="more"`)
			continue
		}
		assert.Equal(t, fewScopes, shown)
		assert.Regexp(t, `<a class="more" href="\./keys/`+made.ID+`"[^>]*>(\+|&#43;)38 more<span`, body)
		assert.Equal(t, n, strings.Count(s.visitor().get("/admin/keys/"+made.ID).body, `<code class="scope" dir="ltr">scope:`)/2, "the page shows each scope twice: the current value and its history")
	}
}

// A store with a search budget may return a short page before it has searched all keys.
func TestSearchContinuesAfterAShortPage(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	for i := range 3 {
		s.issue(fmt.Sprintf("Job %d", i))
	}
	v := s.visitor()
	v.login()
	budget := &budgetedStore{plain: plain{s.store}, most: 2}
	s.over(budget, apikey.IssuerOptions{})
	first := v.get("/admin/?search=job")
	assert.Contains(t, first.body, "Continue search")
	assert.Contains(t, first.body, "Some keys have not been searched yet.")
	assert.NotContains(t, first.body, "Next page")
	next := regexpNext.FindStringSubmatch(first.body)
	require.Len(t, next, 2)
	second := v.get(landing(t, "/admin/", html.UnescapeString(next[1])))
	assert.Contains(t, second.body, "Job 0")
	assert.NotContains(t, second.body, "Continue search")
	budget.most = 0
	nothing := v.get("/admin/?search=job")
	assert.Contains(t, nothing.body, "Search not finished")
	assert.NotContains(t, nothing.body, "key matches", "the store has not searched all keys")
	assert.Contains(t, nothing.body, "Some keys have not been searched yet.")
	assert.Contains(t, nothing.body, "Continue search")
}

// A budgetedStore returns at most that many keys on a page.
type budgetedStore struct {
	plain
	most int
}

func (s *budgetedStore) List(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
	o.Limit = max(s.most, 1)
	page, err := s.KeyManager.List(ctx, o)
	page.Keys = page.Keys[:min(s.most, len(page.Keys))]
	return page, err
}

var regexpNext = regexp.MustCompile(`rel="next" href="([^"]+)"`)

var regexpPrevious = regexp.MustCompile(`rel="prev" href="([^"]+)"`)

// follow opens the first link in a page that matches a pattern.
func (v *visitor) follow(from string, a answer, link *regexp.Regexp) (string, answer) {
	v.s.t.Helper()
	found := link.FindStringSubmatch(a.body)
	require.Len(v.s.t, found, 2, "%s in %s", link, from)
	to := from[:strings.IndexByte(from+"?", '?')]
	path := landing(v.s.t, to, html.UnescapeString(found[1]))
	return path, v.get(path)
}

func TestListPagesLeadBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	const last = maxEarlier + 3
	for i := range last * pageSize {
		s.issue(fmt.Sprintf("Job %04d", i))
	}
	v := s.visitor()
	path, page := "/admin/?sort=name&search=job", v.get("/admin/?sort=name&search=job")
	assert.NotContains(t, page.body, "Previous page")
	shows := func(n int) {
		t.Helper()
		assert.Contains(t, page.body, fmt.Sprintf("<bdi>Job %04d</bdi>", n*pageSize))
		assert.NotContains(t, page.body, fmt.Sprintf("<bdi>Job %04d</bdi>", n*pageSize+pageSize))
		assert.Less(t, len(path), 4000, "the URL stays short")
	}
	for n := 1; n < last; n++ {
		path, page = v.follow(path, page, regexpNext)
		shows(n)
	}
	for n := last - 2; n >= last-1-maxEarlier; n-- {
		path, page = v.follow(path, page, regexpPrevious)
		shows(n)
	}
	assert.NotContains(t, page.body, "Previous page", "the URL holds ten earlier pages")
	assert.Contains(t, page.body, "First page")
	path, page = v.follow(path, page, regexp.MustCompile(`href="([^"]+)">First page`))
	assert.Equal(t, "/admin/?search=job&sort=name", path)
	shows(0)

	path, page = v.follow(path, page, regexpNext)
	path, page = v.follow(path, page, regexpPrevious)
	assert.Equal(t, "/admin/?search=job&sort=name", path)
	shows(0)
}

func TestEarlierCursorsAreBounded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ back, want []string }{
		"nothing":                  {nil, nil},
		"the first page":           {[]string{""}, []string{""}},
		"as many as fit":           {strings.Split("123456789a", ""), strings.Split("123456789a", "")},
		"one more":                 {strings.Split("0123456789a", ""), strings.Split("123456789a", "")},
		"a long one after another": {[]string{"a", strings.Repeat("x", maxState+1), "b"}, []string{"b"}},
	} {
		assert.Equal(t, test.want, latest(test.back), name)
	}
}

func TestLinksDropOtherParameters(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	for path, want := range map[string]string{"?api_key=SECRET": "./login", "?status=active&api_key=SECRET": "./login?next=%3Fstatus%3Dactive"} {
		a := v.get("/admin/" + path)
		assert.Equal(t, want, a.Header.Get("Location"), path)
		assert.NotContains(t, v.get("/admin/login?api_key=SECRET").body, "SECRET")
	}
	for range pageSize + 1 {
		s.issue("Backup job")
	}
	v.login()
	list := v.get("/admin/?api_key=SECRET&sort=name")
	assert.Contains(t, list.body, `rel="next"`)
	assert.NotContains(t, list.body, "SECRET")
}

// BenchmarkList renders the longest page.
func BenchmarkList(b *testing.B) {
	keys := make([]apikey.Key, pageSize)
	for i := range keys {
		keys[i] = apikey.Key{ID: fmt.Sprint("key", i), Name: "Backup job", Scopes: []string{"library:read"}, Hint: "ak_…x7Qd", CreatedAt: time.Now()}
	}
	text := &texts{}
	session, err := deskOf(b, memstore.New(), apikey.IssuerOptions{}).As(administrator)
	require.NoError(b, err)
	h := &dashboard{texts: text, views: parseViews(text.t), now: time.Now, touched: true}
	r, err := http.NewRequest("GET", "/", nil)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		v := &visit{h: h, w: discard{}, r: r, root: "./", keys: session}
		p := listPage{Used: true}
		for i := range keys {
			p.Keys = append(p.Keys, v.row(&keys[i]))
		}
		v.send(page{view: "list", title: "API keys", content: p})
	}
}

type discard struct{}

func (discard) Header() http.Header { return http.Header{} }

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func (discard) WriteHeader(int) {}

func TestTotalOfTheList(t *testing.T) {
	t.Parallel()
	v := inEnglish(time.Now())
	for want, count := range map[string]apikey.Count{
		"0 keys": {}, "1 key": {Keys: 1}, "10000 keys": {Keys: apikey.MaxCount}, "More than 10,000 keys": {Keys: apikey.MaxCount, More: true}, "At least 123 keys": {Keys: 123, More: true},
	} {
		assert.Equal(t, want, v.countText(count))
	}
	assert.Equal(t, 10_000, apikey.MaxCount, "a text names the number")
	s := newSite(t, Options{Authorize: ann})
	s.issue("Backup job")
	assert.Contains(t, s.visitor().get("/admin/").body, ">1 key<")
	s.over(plain{s.store}, apikey.IssuerOptions{})
	assert.NotContains(t, s.visitor().get("/admin/").body, ">1 key<")
}
