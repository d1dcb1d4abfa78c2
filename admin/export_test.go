package admin

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestExportHasTheFilteredKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	ends := time.Now().Add(day).UTC().Truncate(time.Second)
	key := s.make(apikey.NewKey{
		Name: `A "job", <b>`, Owner: "Ops", Scopes: []string{"a:read", "b:read"}, ExpiresAt: ends,
		Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Metadata: map[string]string{"room": "4"},
	})
	for range pageSize {
		s.make(apikey.NewKey{Name: "Job", Owner: "Ops"})
	}
	s.make(apikey.NewKey{Name: "Other job"})
	_, dead := s.issue("Dead job")
	_, err := s.store.Revoke(t.Context(), dead.ID)
	require.NoError(t, err)
	v := s.visitor()
	list := v.get("/admin/?owner=Ops&sort=name").body
	assert.Contains(t, list, `href="./keys.csv?owner=Ops&amp;sort=name"`)
	assert.Contains(t, list, `href="./keys.json?owner=Ops&amp;sort=name"`)

	a := v.get("/admin/keys.csv?owner=Ops&sort=name&cursor=ignored")
	require.Equal(t, http.StatusOK, a.StatusCode)
	assert.Equal(t, "text/csv; charset=utf-8", a.Header.Get("Content-Type"))
	assert.Equal(t, `attachment; filename="api-keys.csv"`, a.Header.Get("Content-Disposition"))
	rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 1+1+pageSize)
	created := key.CreatedAt.Format(time.RFC3339)
	assert.Equal(t, []string{key.ID, key.Name, "active", "Ops", "a:read b:read", "192.0.2.0/24", "", `{"room":"4"}`, key.Hint, "", created, ends.Format(time.RFC3339), "", "", "", ""}, rows[1])

	a = v.get("/admin/keys.json?owner=Ops&sort=name")
	assert.Equal(t, "application/json", a.Header.Get("Content-Type"))
	assert.Equal(t, `attachment; filename="api-keys.json"`, a.Header.Get("Content-Disposition"))
	var got struct{ Keys []exportedKey }
	require.NoError(t, json.Unmarshal([]byte(a.body), &got))
	require.Len(t, got.Keys, 1+pageSize)
	want := s.handler.visit(nil, a.Request).export(&key)
	assert.Equal(t, want, got.Keys[0])
	assert.JSONEq(t, `{"keys":[]}`, v.get("/admin/keys.json?owner=unknown").body)
	assert.Contains(t, v.get("/admin/keys.csv?status=revoked").body, "Dead job,revoked")
	for _, path := range []string{"/admin/keys.csv", "/admin/keys.json"} {
		a := v.get(path)
		assert.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"), path)
		assert.Equal(t, "no-store", a.Header.Get("Cache-Control"), path)
		assert.Empty(t, v.do("HEAD", path, "").body, path)
		for _, bad := range []string{"?status=x", "?expires=8", "?search=" + strings.Repeat("x7Qd", 9)} {
			assert.Equal(t, http.StatusBadRequest, v.get(path+bad).StatusCode, path+bad)
		}
	}
}

func TestExportHoldsNoFormula(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "Job": "Job", "a=b": "a=b", "=cmd|' /C calc'!A0": "'=cmd|' /C calc'!A0", "a;=1": "a;'=1", "a; =1": "a; '=1", " =1": " '=1", "\u00a0=1": "\u00a0'=1", "＝1+1": "'＝1+1", "＠x": "'＠x",
		"a,-1": "a,'-1", "a|+1": "a|'+1", "a\"@x": "a\"'@x", "'=1": "''=1", "a\t=1": "a\t'=1", "a\r\n=1": "a\r\n'=1", "a;b": "a;b", "a -1": "a -1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\tx": "'\tx", "\rx": "'\rx",
	} {
		assert.Equal(t, want, safeCell(text), "%q", text)
	}
	s := newSite(t, Options{Authorize: ann})
	s.make(apikey.NewKey{Name: "=1+1", Owner: "@x", Scopes: []string{"-a"}})
	rows, err := csv.NewReader(strings.NewReader(s.visitor().get("/admin/keys.csv").body)).ReadAll()
	require.NoError(t, err)
	assert.Equal(t, []string{"'=1+1", "active", "'@x", "'-a"}, rows[1][1:5])
}

func TestExportRefusesTooManyKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	for i := range maxExport {
		d := apikey.Digest{byte(i), byte(i >> 8)}
		require.NoError(t, s.store.Create(t.Context(), d, apikey.Key{ID: fmt.Sprint("key", i), Name: "Job", CreatedAt: time.Now()}))
	}
	v := s.visitor()
	a := v.get("/admin/keys.csv")
	assert.Equal(t, http.StatusOK, a.StatusCode)
	assert.Equal(t, maxExport+1, strings.Count(a.body, "\r\n"))
	s.issue("One more")
	for _, path := range []string{"/admin/keys.csv", "/admin/keys.json"} {
		a := v.get(path)
		assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
		assert.Contains(t, a.body, "A file holds at most 10,000 keys")
		assert.Empty(t, a.Header.Get("Content-Disposition"))
	}
	assert.Equal(t, http.StatusOK, v.get("/admin/keys.csv?search=more").StatusCode)
}

func TestExportRefusesLargeKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	metadata := map[string]string{"a": strings.Repeat("v", 4095)}
	for i := range maxExportSize/4095 + 1 {
		d := apikey.Digest{byte(i), byte(i >> 8)}
		require.NoError(t, s.store.Create(t.Context(), d, apikey.Key{ID: fmt.Sprint("key", i), Name: "Job", Metadata: metadata, CreatedAt: time.Now()}))
	}
	for _, path := range []string{"/admin/keys.csv", "/admin/keys.json"} {
		a := s.visitor().get(path)
		assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode, path)
		assert.Contains(t, a.body, "16 MiB", path)
	}
}

func TestExportRefusesASlowStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &testStore{Store: memstore.New(), gates: map[string]func(){"List": func() { time.Sleep(maxExportTime + time.Second) }}}
		desk := deskOf(t, store, apikey.IssuerOptions{})
		_, _, err := desk.Issuer().Issue(t.Context(), apikey.NewKey{Name: "Job"})
		require.NoError(t, err)
		h, err := newDashboard(desk, Options{Authorize: ann})
		require.NoError(t, err)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/keys.csv", nil))
		assert.Equal(t, http.StatusUnprocessableEntity, w.Code)
		assert.Contains(t, w.Body.String(), "within 10 seconds")
	})
}

func TestExportSlots(t *testing.T) {
	t.Parallel()
	var s exportSlots
	take := func(owner string) func() {
		t.Helper()
		release, ok := s.take(owner)
		require.True(t, ok)
		return release
	}
	requireNone := func(owner, rule string) {
		t.Helper()
		_, ok := s.take(owner)
		require.False(t, ok, rule)
	}
	alice := take("alice")
	requireNone("alice", "an owner makes one file at a time")
	take("bob")
	take("carol")
	requireNone("dave", "three owners at a time")
	administrators := take("")
	requireNone("", "the administrators make one file at a time")
	requireNone("dave", "the administrators' slot is not for owners")
	alice()
	take("dave")
	requireNone("alice", "three owners at a time, of whom one is new")
	administrators()
	take("")
}

func TestExportsOfAnAccountRunOneAtATime(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	entered, leave := make(chan struct{}), make(chan struct{})
	s.store.gate("List", entered, leave)
	first := make(chan answer)
	go func() { first <- s.visitor().get("/admin/keys.json") }()
	<-entered
	for _, path := range []string{"/admin/keys.csv", "/admin/keys.json"} {
		a := s.visitor().get(path)
		assert.Equal(t, http.StatusServiceUnavailable, a.StatusCode, path)
		assert.Equal(t, "10", a.Header.Get("Retry-After"), path)
		assert.Contains(t, a.body, "Another file is being made.", path)
	}
	assert.Equal(t, http.StatusOK, s.visitor().get("/admin/").StatusCode, "the list works during an export")
	close(leave)
	assert.Equal(t, http.StatusOK, (<-first).StatusCode)
	assert.Equal(t, http.StatusOK, s.visitor().get("/admin/keys.csv").StatusCode)
}

// repeating is a store whose second page repeats the first one.
type repeating struct{ *memstore.Store }

func (s repeating) List(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
	cursor := o.Cursor
	o.Cursor = ""
	page, err := s.Store.List(ctx, o)
	if cursor == "" {
		page.Next = "second"
	}
	return page, err
}

func TestExportHasEachKeyOnce(t *testing.T) {
	t.Parallel()
	store := repeating{memstore.New()}
	desk := deskOf(t, store, apikey.IssuerOptions{})
	_, _, err := desk.Issuer().Issue(t.Context(), apikey.NewKey{Name: "Job"})
	require.NoError(t, err)
	h, err := newDashboard(desk, Options{Authorize: ann})
	require.NoError(t, err)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/keys.csv", nil))
	require.Equal(t, http.StatusOK, w.Code)
	assert.Equal(t, 1, strings.Count(w.Body.String(), "Job,active"))
}
