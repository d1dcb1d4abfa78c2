package main

import (
	"errors"
	"net/http"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/admin"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/manageapi"
)

// The code between "begin" and "end" is all that the shop writes for its customers' keys.
// TestKeysNeedLessThan20Lines counts its lines.

// begin

const maxKeys = 10 // of a customer

// addKeys adds the settings page of people and the API of their programs.
func (s *shop) addKeys(site, api *http.ServeMux) error {
	settings, err1 := admin.New(s.desk, admin.Options{Authorize: s.customersAccess, Layout: s.layout("keys"), Example: s.example, Limiter: s.limits})
	programs, err2 := manageapi.New(s.desk, manageapi.Options{Authorize: programsAccess, Limiter: s.limits})
	site.Handle("/settings/keys/", s.loggedIn(http.StripPrefix("/settings/keys", settings)))
	api.Handle("/api/keys/", apikey.Require(manage.ScopeManage)(http.StripPrefix("/api/keys", programs)))
	return errors.Join(err1, err2)
}

// customersAccess returns the Access of the customer who is logged in.
func (s *shop) customersAccess(r *http.Request) (manage.Access, error) {
	c, err := s.customer(r)
	return manage.Access{Actor: c.email, Owner: c.id, Scopes: customersScopes, MaxKeys: maxKeys}, err
}

// programsAccess returns the Access of a customer's program, whose key has manage.ScopeManage.
func programsAccess(r *http.Request) (manage.Access, error) {
	key, _ := apikey.FromContext(r.Context())
	access := manage.ByKey(key)
	access.MaxKeys = maxKeys
	return access, nil
}

// end
