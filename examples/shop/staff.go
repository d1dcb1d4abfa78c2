package main

import (
	"errors"
	"net/http"

	"github.com/latchkey-dev/apikey/admin"
	"github.com/latchkey-dev/apikey/manage"
)

// addStaffsPage adds the page on which staff manage the keys of all customers.
func (s *shop) addStaffsPage(site *http.ServeMux) error {
	page, err := admin.New(s.desk, admin.Options{Authorize: s.staffsAccess, Layout: s.layout("admin"), Example: s.example})
	if err != nil {
		return err
	}
	site.Handle("/admin/", s.loggedIn(http.StripPrefix("/admin", page)))
	return nil
}

// staffsAccess returns the Access of an employee who is logged in.
func (s *shop) staffsAccess(r *http.Request) (manage.Access, error) {
	c, err := s.customer(r)
	if err == nil && !c.staff {
		err = errors.New("shop: not staff")
	}
	return manage.Access{Actor: c.email, AllOwners: true, AnyScope: true}, err
}
