package managetest

import (
	"net/netip"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

func in(d time.Duration) time.Time { return time.Now().Add(d) }

// get, issue, update, rotate and revoke return the do function of an operation.

func get(name string) func(*fixture, *manage.Session) error {
	return func(f *fixture, s *manage.Session) error {
		_, err := s.Get(f.t.Context(), f.id(name))
		return err
	}
}

func issue(k apikey.NewKey) func(*fixture, *manage.Session) error {
	k.Name = "new"
	return func(f *fixture, s *manage.Session) error {
		_, _, err := s.Issue(f.t.Context(), k, "")
		return err
	}
}

func update(name string, patches ...apikey.Patch) func(*fixture, *manage.Session) error {
	return func(f *fixture, s *manage.Session) (err error) {
		last := len(patches) - 1
		for _, p := range patches[:last] {
			f.edit(name, p)
		}
		_, err = s.Update(f.t.Context(), f.id(name), "", patches[last])
		return err
	}
}

func rotate(name string, grace time.Duration, before ...apikey.Patch) func(*fixture, *manage.Session) error {
	return func(f *fixture, s *manage.Session) error {
		for _, p := range before {
			f.edit(name, p)
		}
		_, _, err := s.Rotate(f.t.Context(), f.id(name), grace, "")
		return err
	}
}

func revoke(name string) func(*fixture, *manage.Session) error {
	return func(f *fixture, s *manage.Session) error {
		_, err := s.Revoke(f.t.Context(), f.id(name))
		return err
	}
}

func scopesOf(s ...string) apikey.Patch { return apikey.Patch{Scopes: &s} }

func expiry(t time.Time) apikey.Patch { return apikey.Patch{ExpiresAt: &t} }

// declaredBy returns a change of the metadata to the mark of a declared key.
func declaredBy(set string) apikey.Patch {
	return apikey.Patch{Metadata: &map[string]string{manage.MetadataDeclaredBy: set}}
}

func networksOf(networks ...string) apikey.Patch {
	all := []netip.Prefix{}
	for _, n := range networks {
		all = append(all, netip.MustParsePrefix(n))
	}
	return apikey.Patch{Networks: &all}
}

// These results are common to many operations.
var (
	reads             = all(ok)
	othersRead        = results{ok, ok, notFound, notFound, notFound, notFound}
	changes           = results{ok, readOnly, ok, readOnly, ok, ok}
	others            = results{ok, readOnly, notFound, readOnly, notFound, notFound}
	onlyAdministrator = func(why string) results { return results{ok, readOnly, why, readOnly, why, why} }
)

var operations = []operation{
	{"Get an own key", reads, get("own")},
	{"Get a key of another owner", othersRead, get("bob's")},
	{"Get a key without an owner", othersRead, get("ownerless")},
	{"Get an unknown key", all(notFound), func(f *fixture, s *manage.Session) error {
		_, err := s.Get(f.t.Context(), "unknown")
		return err
	}},
	{"Identify an own key", reads, func(f *fixture, s *manage.Session) error {
		_, err := s.Identify(f.t.Context(), f.secret["own"])
		return err
	}},
	{"Identify a key of another owner", othersRead, func(f *fixture, s *manage.Session) error {
		_, err := s.Identify(f.t.Context(), f.secret["bob's"])
		return err
	}},
	{"History of an own key", reads, func(f *fixture, s *manage.Session) error {
		_, err := s.History(f.t.Context(), apikey.AuditOptions{KeyID: f.id("own")})
		return err
	}},
	{"History of a key of another owner", othersRead, func(f *fixture, s *manage.Session) error {
		_, err := s.History(f.t.Context(), apikey.AuditOptions{KeyID: f.id("bob's")})
		return err
	}},
	{"History of all keys", othersRead, func(f *fixture, s *manage.Session) error {
		_, err := s.History(f.t.Context(), apikey.AuditOptions{})
		return err
	}},

	// The limited owner has two keys already.
	{"Issue a key", results{ok, readOnly, ok, readOnly, keys, ok}, issue(apikey.NewKey{Scopes: []string{"read"}})},
	{"Issue a key without scopes", results{ok, readOnly, ok, readOnly, keys, ok}, issue(apikey.NewKey{})},
	{"Issue a key for oneself", results{ok, readOnly, ok, readOnly, keys, ok}, issue(apikey.NewKey{Owner: "alice"})},
	{"Issue a key for another owner", onlyAdministrator(owner), issue(apikey.NewKey{Owner: "bob"})},
	{"Issue a key with a scope beyond", onlyAdministrator(scopes), issue(apikey.NewKey{Scopes: []string{"read", "admin"}})},
	{"Issue a key with a scope that is not in the catalogue", results{invalid, readOnly, scopes, readOnly, scopes, scopes}, issue(apikey.NewKey{Scopes: []string{"other"}})},
	{"Issue a key for 25 days", results{ok, readOnly, ok, readOnly, lifetime, ok}, issue(apikey.NewKey{ExpiresAt: in(25 * day)})},
	{"Issue a key for 31 days", results{ok, readOnly, ok, readOnly, lifetime, lifetime}, issue(apikey.NewKey{ExpiresAt: in(31 * day)})},
	{"Issue a key for longer than the Issuer permits", onlyAdministrator(lifetime).with(0, lifetime), issue(apikey.NewKey{ExpiresAt: in(101 * day)})},
	{"Issue an expired key", results{invalid, readOnly, invalid, readOnly, invalid, invalid}, issue(apikey.NewKey{ExpiresAt: in(-day)})},
	{"Issue with an invalid request ID", results{invalid, readOnly, invalid, readOnly, invalid, invalid}, func(f *fixture, s *manage.Session) error {
		_, _, err := s.Issue(f.t.Context(), apikey.NewKey{Name: "new"}, "two words")
		return err
	}},

	{"Update nothing", changes, update("own", apikey.Patch{})},
	{"Update the name", changes, update("own", apikey.Patch{Name: new("renamed")})},
	{"Update the metadata", changes, update("own", apikey.Patch{Metadata: &map[string]string{"room": "4"}})},
	{"Issue a key with the mark of a declared key", onlyAdministrator(metadata), issue(apikey.NewKey{Metadata: map[string]string{manage.MetadataDeclaredBy: "homelab"}})},
	{"Set the mark of a declared key", onlyAdministrator(metadata), update("own", declaredBy("homelab"))},
	{"Change the mark of a declared key", onlyAdministrator(metadata), update("own", declaredBy("homelab"), declaredBy("other"))},
	{"Remove the mark of a declared key", onlyAdministrator(metadata), update("own", declaredBy("homelab"), apikey.Patch{Metadata: &map[string]string{}})},
	{"Keep the mark of a declared key", changes, update("own", declaredBy("homelab"),
		apikey.Patch{Metadata: &map[string]string{manage.MetadataDeclaredBy: "homelab", "room": "4"}})},
	{"Update the name of a key with scopes beyond", changes, update("beyond", apikey.Patch{Name: new("renamed")})},
	{"Update a key of another owner", others, update("bob's", apikey.Patch{Name: new("renamed")})},
	{"Update a key of another owner to an invalid name", others.with(0, invalid), update("bob's", apikey.Patch{Name: new("")})},
	{"Update to an invalid name", changes.instead(invalid), update("own", apikey.Patch{Name: new("")})},
	{"Update the owner", onlyAdministrator(owner), update("own", apikey.Patch{Owner: new("bob")})},
	{"Update the owner to none", onlyAdministrator(owner), update("own", apikey.Patch{Owner: new("")})},
	{"Update the owner to the same", changes, update("own", apikey.Patch{Owner: new("alice")})},
	{"Update the owner of a key of another owner to oneself", others, update("bob's", apikey.Patch{Owner: new("alice")})},
	{"Add a scope", results{ok, readOnly, ok, readOnly, ok, scopes}, update("own", scopesOf("read", "write"))},
	{"Add a scope beyond", onlyAdministrator(scopes), update("own", scopesOf("read", "admin"))},
	{"Add a scope that is not in the catalogue", results{invalid, readOnly, scopes, readOnly, scopes, scopes}, update("own", scopesOf("other"))},
	{"Keep a scope beyond", changes, update("beyond", scopesOf("admin"))},
	{"Add a scope to a key with scopes beyond", results{ok, readOnly, ok, readOnly, ok, scopes}, update("beyond", scopesOf("read", "admin", "write"))},
	{"Add a scope to a key that lives longer", results{ok, readOnly, ok, readOnly, lifetime, scopes}, update("own", expiry(in(50*day)), scopesOf("read", "write"))},
	{"Keep a scope that is no longer in the catalogue", changes, update("own", scopesOf("old"), scopesOf("old"))},
	{"Remove the scopes", changes, update("own", scopesOf())},
	{"Shorten the lifetime", changes, update("own", expiry(in(day)))},
	{"Shorten a lifetime that is too long", changes, update("own", apikey.Patch{ExpiresAt: &time.Time{}}, expiry(in(200*day)))},
	{"Keep an expiry that is too late", changes, update("own", apikey.Patch{ExpiresAt: &time.Time{}}, apikey.Patch{ExpiresAt: &time.Time{}})},
	{"Prolong to 15 days", changes, update("own", expiry(in(15*day)))},
	{"Prolong to 25 days", results{ok, readOnly, ok, readOnly, lifetime, ok}, update("own", expiry(in(25*day)))},
	{"Prolong to 31 days", results{ok, readOnly, ok, readOnly, lifetime, lifetime}, update("own", expiry(in(31*day)))},
	{"Prolong beyond the Issuer's limit", onlyAdministrator(lifetime).with(0, lifetime), update("own", expiry(in(101*day)))},
	{"Prolong forever", onlyAdministrator(lifetime).with(0, lifetime), update("own", apikey.Patch{ExpiresAt: &time.Time{}})},
	{"Prolong a key with scopes beyond", onlyAdministrator(scopes), update("beyond", expiry(in(15*day)))},
	{"Prolong a key and remove its scopes beyond", changes, update("beyond", apikey.Patch{ExpiresAt: new(in(15 * day)), Scopes: &[]string{"read"}})},
	{"Revive an expired key", results{ok, readOnly, ok, readOnly, ok, ok}, update("own", expiry(in(-day)), expiry(in(15*day)))},
	{"Restrict to a network", changes, update("own", networksOf("192.0.2.0/24"))},
	{"Restrict a key with scopes beyond to a network", changes, update("beyond", networksOf("192.0.2.0/24"))},
	{"Narrow a network", changes, update("beyond", networksOf("192.0.2.0/24"), networksOf("192.0.2.0/25"))},
	{"Widen a network", changes, update("own", networksOf("192.0.2.0/25"), networksOf("192.0.2.0/24"))},
	{"Remove the networks", changes, update("own", networksOf("192.0.2.0/25"), networksOf())},
	{"Widen a network of a key with scopes beyond", onlyAdministrator(scopes), update("beyond", networksOf("192.0.2.0/25"), networksOf("192.0.2.0/24"))},
	{"Remove the networks of a key with scopes beyond", onlyAdministrator(scopes), update("beyond", networksOf("192.0.2.0/25"), networksOf())},
	{"Add a network to a key with scopes beyond", onlyAdministrator(scopes), update("beyond", networksOf("192.0.2.0/25"), networksOf("192.0.2.0/25", "::/0"))},
	{"Remove the networks of a key that lives longer", results{ok, readOnly, ok, readOnly, lifetime, lifetime},
		update("own", apikey.Patch{ExpiresAt: new(in(50 * day)), Networks: networksOf("192.0.2.0/25").Networks}, networksOf())},
	{"Set limits of use", onlyAdministrator(limits), update("own", apikey.Patch{Limits: &[]apikey.Limit{{Name: "rate", Requests: 1, Per: time.Second}}})},
	{"Keep limits of use", changes, update("own", apikey.Patch{Limits: &[]apikey.Limit{{Name: "rate", Requests: 1, Per: time.Second}}},
		apikey.Patch{Limits: &[]apikey.Limit{{Name: "rate", Requests: 1, Per: time.Second}}})},
	{"Remove limits of use", onlyAdministrator(limits), update("own", apikey.Patch{Limits: &[]apikey.Limit{{Name: "rate", Requests: 1, Per: time.Second}}},
		apikey.Patch{Limits: &[]apikey.Limit{}})},

	{"Suspend", changes, func(f *fixture, s *manage.Session) error {
		_, err := s.Suspend(f.t.Context(), f.id("own"))
		return err
	}},
	{"Suspend a key of another owner", others, func(f *fixture, s *manage.Session) error {
		_, err := s.Suspend(f.t.Context(), f.id("bob's"))
		return err
	}},
	{"Resume a suspended key", results{ok, readOnly, resume, readOnly, ok, resume}, func(f *fixture, s *manage.Session) error {
		f.edit("own", apikey.Patch{Suspended: new(true)})
		_, err := s.Resume(f.t.Context(), f.id("own"))
		return err
	}},
	{"Resume a key that is not suspended", changes, func(f *fixture, s *manage.Session) error {
		_, err := s.Resume(f.t.Context(), f.id("own"))
		return err
	}},
	{"Rename a suspended key", changes, update("own", apikey.Patch{Suspended: new(true)}, apikey.Patch{Name: new("renamed")})},

	{"Rotate", changes, rotate("own", day)},
	{"Rotate without grace", changes, rotate("own", 0)},
	{"Rotate a key with scopes beyond", onlyAdministrator(scopes), rotate("beyond", day)},
	{"Rotate a key of another owner", others, rotate("bob's", day)},
	{"Rotate a suspended key", changes.instead("suspended"), rotate("own", day, apikey.Patch{Suspended: new(true)})},
	{"Rotate with a negative grace", changes.instead(invalid), rotate("own", -day)},

	{"Revoke", changes, revoke("own")},
	{"Revoke a key with scopes beyond", changes, revoke("beyond")},
	{"Revoke a key of another owner", others, revoke("bob's")},
	{"Revoke an unknown key", others.with(0, notFound), func(f *fixture, s *manage.Session) error {
		_, err := s.Revoke(f.t.Context(), "unknown")
		return err
	}},
	{"Revoke all keys of an owner", changes, func(f *fixture, s *manage.Session) error {
		_, err := s.RevokeAll(f.t.Context(), "alice")
		return err
	}},
	{"Revoke all keys of another owner", others.with(2, ok).with(4, ok).with(5, ok), func(f *fixture, s *manage.Session) error {
		n, err := s.RevokeAll(f.t.Context(), "bob")
		if n > 0 && s.Access().Owner != "" {
			f.t.Errorf("%s revoked %d keys of another owner", s.Access().Actor, n)
		}
		return err
	}},
	{"Revoke all keys of no owner", changes.with(0, invalid), func(f *fixture, s *manage.Session) error {
		_, err := s.RevokeAll(f.t.Context(), "")
		return err
	}},
}

// with returns a copy of the results with another one for one kind of access.
func (r results) with(access int, result string) results {
	c := append(results{}, r...)
	c[access] = result
	return c
}

// instead returns a copy of the results with another one in place of each ok.
func (r results) instead(result string) results {
	c := append(results{}, r...)
	for i := range c {
		if c[i] == ok {
			c[i] = result
		}
	}
	return c
}
