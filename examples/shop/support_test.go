package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// alice, bob and carol are the customers of the demonstration. Carol is staff.
var alice, bob, carol = customers[0], customers[1], customers[2]

// A service is a shop on a server.
type service struct {
	*shop
	url   string
	store *sqlstore.Store
}

func startService(t *testing.T) *service {
	t.Helper()
	db, err := sqlstore.OpenSQLite("sqlite", filepath.Join(t.TempDir(), "shop.db"))
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	store, err := sqlstore.New(db, sqlstore.SQLite, sqlstore.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { store.Close(t.Context()) })
	require.NoError(t, store.Migrate(t.Context()))
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s, err := newShop(store, store, server.URL)
	require.NoError(t, err)
	mux.Handle("/", s.handler)
	return &service{s, server.URL, store}
}

// issue makes a key without the limits of an Access.
func (s *service) issue(t *testing.T, k apikey.NewKey) (secret string, key apikey.Key) {
	t.Helper()
	made, key, err := s.desk.Issuer().Issue(t.Context(), k)
	require.NoError(t, err)
	return made.Reveal(), key
}

// key returns the key with an ID as it is in the store.
func (s *service) key(t *testing.T, id string) apikey.Key {
	t.Helper()
	key, err := s.store.Get(t.Context(), id)
	require.NoError(t, err)
	return key
}

// keysOf returns the keys of an owner.
func (s *service) keysOf(t *testing.T, owner string) (all []apikey.Key) {
	t.Helper()
	for key, err := range apikey.Keys(t.Context(), s.store, apikey.ListOptions{Owner: owner}) {
		require.NoError(t, err)
		all = append(all, key)
	}
	return all
}

// A reply is a response and its body.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) json(t *testing.T) (value map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(r.body), &value), r.body)
	return value
}

// A person uses the site as a browser without JavaScript does.
type person struct {
	t      *testing.T
	s      *service
	client *http.Client

	account string // the value that the forms of the dashboard send back
}

// visitor returns a person who has not logged in.
func (s *service) visitor(t *testing.T) *person {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &person{t: t, s: s, client: &http.Client{Jar: jar, CheckRedirect: stay}}
}

func (s *service) logIn(t *testing.T, c customer) *person {
	t.Helper()
	p := s.visitor(t)
	require.Equal(t, http.StatusSeeOther, p.post("/login", url.Values{"email": {c.email}, "password": {c.demoPassword}}).status)
	account := sha256.Sum256([]byte(c.id))
	p.account = hex.EncodeToString(account[:16])
	return p
}

func (p *person) do(r *http.Request) reply {
	p.t.Helper()
	response, err := p.client.Do(r)
	require.NoError(p.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(p.t, err)
	return reply{response.StatusCode, response.Header, string(body)}
}

func (p *person) get(path string) reply {
	p.t.Helper()
	r, err := http.NewRequest(http.MethodGet, p.s.url+path, nil)
	require.NoError(p.t, err)
	return p.do(r)
}

func (p *person) post(path string, form url.Values) reply {
	p.t.Helper()
	if strings.HasPrefix(path, "/settings/keys/") {
		form = maps.Clone(form)
		form.Set("account", p.account)
	}
	r, err := http.NewRequest(http.MethodPost, p.s.url+path, strings.NewReader(form.Encode()))
	require.NoError(p.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return p.do(r)
}

// call sends a request with a key or a token to the API. body is encoded as JSON unless it is nil.
func (s *service) call(t *testing.T, bearer, method, path string, body any, header ...string) reply {
	t.Helper()
	var content bytes.Buffer
	if body != nil {
		require.NoError(t, json.NewEncoder(&content).Encode(body))
	}
	r, err := http.NewRequest(method, s.url+path, &content)
	require.NoError(t, err)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return (&person{t: t, s: s, client: &http.Client{}}).do(r)
}
