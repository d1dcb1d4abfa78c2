package main

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
	"github.com/latchkey-dev/apikey/manage"
)

// scopes are the scopes of the API. Only staff may give orders:refund.
var scopes = []apikey.Scope{
	{Name: "orders:read", Description: "See your orders"},
	{Name: "orders:write", Description: "Place orders"},
	{Name: "orders:refund", Description: "Refund all orders"},
	{Name: manage.ScopeManage, Description: "Manage your API keys"},
}

// customersScopes are the scopes that customers may give to their keys.
var customersScopes = []string{"orders:read", "orders:write", manage.ScopeManage}

// perMinute limits the requests of a customer, with all keys and tokens together.
var perMinute = []apikey.Limit{{Name: "minute", Requests: 300, Per: time.Minute}}

// A shop has pages for people, who log in, and an API for programs, which have keys.
type shop struct {
	handler  http.Handler
	auth     *apikey.Middleware
	desk     *manage.Desk
	limits   *limit.Limiter
	sessions *scs.SessionManager
	orders   *orders
	tokens   tokens
	example  string // a command that the pages show beside a new key
}

// newShop returns a shop whose keys are in a store. The API looks keys up in lookups, which may cache
// the store. Browsers reach the shop at the URL base.
func newShop(store apikey.KeyManager, lookups apikey.KeyStore, base string) (*shop, error) {
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{Scopes: scopes, MaxLifetime: 365 * 24 * time.Hour})
	if err != nil {
		return nil, err
	}
	s := &shop{sessions: scs.New(), orders: newOrders(), tokens: newTokens()}
	s.sessions.Lifetime, s.sessions.IdleTimeout = 12*time.Hour, time.Hour
	s.sessions.Cookie.Secure = strings.HasPrefix(base, "https://")
	s.example = "curl -H 'X-API-Key: KEY' " + base + "/api/orders"
	if s.desk, err = manage.New(issuer); err != nil {
		return nil, err
	}
	if s.auth, err = apikey.New(lookups, apikey.Options{Realm: "Tea shop", Sources: sources, Authorize: customersOnly}); err != nil {
		return nil, err
	}
	if s.limits, err = limit.New(limit.Memory(), limit.Options{
		Of:        func(*apikey.Key) []apikey.Limit { return perMinute },
		By:        func(key *apikey.Key) string { return key.Owner },
		Remaining: true,
	}); err != nil {
		return nil, err
	}
	site, api := http.NewServeMux(), http.NewServeMux()
	s.addPages(site)
	s.addAPI(api)
	if err := errors.Join(s.addKeys(site, api), s.addStaffsPage(site)); err != nil {
		return nil, err
	}
	// A session opens no route of the API, and a key opens no page of the site.
	mux := http.NewServeMux()
	mux.Handle("/", http.NewCrossOriginProtection().Handler(s.sessions.LoadAndSave(site)))
	mux.Handle("/api/", s.keyOrToken(api))
	mux.HandleFunc("POST /api/token", s.issueToken)
	mux.HandleFunc("GET /style.css", serveStyle)
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	s.handler = mux
	return s, nil
}
