// Package managetest tests the rules of package manage over a store. The rules are the same over every
// store, so the tests of memstore and of each database run them.
package managetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// catalogue are the scopes of the Issuer.
var catalogue = []apikey.Scope{{Name: "read"}, {Name: "write"}, {Name: "admin"}, {Name: manage.ScopeManage}}

// maxLifetime is the MaxLifetime of the Issuer.
const maxLifetime = 100 * day

const day = 24 * time.Hour

// A fixture is a store with the keys of fixtureKeys.
type fixture struct {
	t      *testing.T
	issuer *apikey.Issuer
	desk   *manage.Desk
	keys   map[string]apikey.Key
	secret map[string]apikey.Secret
	before string // the state before the operation
}

// fixtureKeys are the keys of a fixture, by name.
var fixtureKeys = map[string]apikey.NewKey{
	"own":       {Name: "own", Owner: "alice", Scopes: []string{"read"}},
	"beyond":    {Name: "beyond", Owner: "alice", Scopes: []string{"read", "admin"}},
	"bob's":     {Name: "bob's", Owner: "bob", Scopes: []string{"read"}},
	"ownerless": {Name: "ownerless", Scopes: []string{"read"}},
}

func newFixture(t *testing.T, store apikey.KeyManager) *fixture {
	t.Helper()
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{MaxLifetime: maxLifetime, DefaultLifetime: 10 * day, Scopes: catalogue})
	must(t, err)
	desk, err := manage.New(issuer)
	must(t, err)
	f := &fixture{t: t, issuer: issuer, desk: desk, keys: map[string]apikey.Key{}, secret: map[string]apikey.Secret{}}
	for name, key := range fixtureKeys {
		f.secret[name], f.keys[name], err = issuer.Issue(t.Context(), key)
		must(t, err)
	}
	return f
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// accesses are the kinds of access, in the order of the results of an operation.
var accesses = []struct {
	name   string
	access manage.Access
}{
	{"administrator", manage.Access{Actor: "ann", AllOwners: true, AnyScope: true}},
	{"auditor", manage.Access{Actor: "aud", AllOwners: true, ReadOnly: true}},
	{"owner", manage.Access{Actor: "alice", Owner: "alice", Scopes: []string{"read", "write"}}},
	{"owner who only reads", manage.Access{Actor: "alice", Owner: "alice", Scopes: []string{"read", "write"}, ReadOnly: true}},
	{"limited owner", manage.Access{Actor: "alice", Owner: "alice", Scopes: []string{"read", "write"}, MaxKeys: 2, MaxLifetime: 20 * day, MayResume: true}},
	{"program", manage.ByKey(apikey.Key{ID: "program", Name: "Program", Owner: "alice", Scopes: []string{"read", manage.ScopeManage}, ExpiresAt: time.Now().Add(30 * day)})},
}

// results are the expected results of an operation. Each is "ok", the name of an error of package apikey
// or manage, or the rule of a RefusedError. There is one result for each kind of access, or one for all.
type results []string

func all(result string) results { return results{result} }

const (
	ok       = "ok"
	notFound = "not found"
	readOnly = string(manage.RuleReadOnly)
	scopes   = string(manage.RuleScopes)
	lifetime = string(manage.RuleLifetime)
	keys     = string(manage.RuleKeys)
	owner    = string(manage.RuleOwner)
	resume   = string(manage.RuleResume)
	limits   = string(manage.RuleLimits)
	metadata = string(manage.RuleMetadata)
	invalid  = "invalid"
)

// nameOf returns the result that an error stands for.
func nameOf(err error) string {
	var refused *manage.RefusedError
	switch {
	case err == nil:
		return ok
	case errors.As(err, &refused):
		return string(refused.Rule)
	case errors.Is(err, apikey.ErrNotFound):
		return notFound
	case errors.Is(err, apikey.ErrInvalid):
		return invalid
	case errors.Is(err, apikey.ErrSuspended):
		return "suspended"
	case errors.Is(err, manage.ErrChanged):
		return "changed"
	}
	return err.Error()
}

// An operation is one call of a Session.
type operation struct {
	name string
	want results // administrator, auditor, owner, owner who only reads, limited owner, program
	do   func(f *fixture, s *manage.Session) error
}

// Run runs every operation with every kind of access. It calls open in each subtest; open returns an
// empty store.
func Run(t *testing.T, open func(*testing.T) apikey.KeyManager) {
	for _, op := range operations {
		if len(op.want) != 1 && len(op.want) != len(accesses) {
			t.Fatalf("%s: %d results; want 1 or %d", op.name, len(op.want), len(accesses))
		}
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			for i, a := range accesses {
				want := op.want[min(i, len(op.want)-1)]
				f := newFixture(t, open(t))
				session, err := f.desk.As(a.access)
				must(t, err)
				f.before = f.state()
				if got := nameOf(op.do(f, session)); got != want {
					t.Errorf("%s: %s; want %s", a.name, got, want)
				} else if after := f.state(); want != ok && after != f.before {
					t.Errorf("%s: %s, but the keys changed:\n%s\nbefore:\n%s", a.name, got, after, f.before)
				}
			}
		})
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			r.test(newFixture(t, open(t)))
		})
	}
}

// state returns a text of all keys and of the number of audit entries.
func (f *fixture) state() (text string) {
	for key, err := range apikey.Keys(f.t.Context(), f.issuer.Manager(), apikey.ListOptions{}) {
		must(f.t, err)
		text += fmt.Sprintln(key)
	}
	if auditor, ok := apikey.StoreAs[apikey.Auditor](f.issuer.Manager()); ok {
		page, err := auditor.Audit(f.t.Context(), apikey.AuditOptions{Limit: 500})
		must(f.t, err)
		text += fmt.Sprint(len(page.Entries))
	}
	return text
}

// as returns a session with this access.
func (f *fixture) as(a manage.Access) *manage.Session {
	f.t.Helper()
	session, err := f.desk.As(a)
	must(f.t, err)
	return session
}

func (f *fixture) id(name string) string { return f.keys[name].ID }

// edit changes a key through the store, as the service itself may, before an operation.
func (f *fixture) edit(name string, p apikey.Patch) {
	f.t.Helper()
	key, err := f.issuer.Manager().Update(f.t.Context(), f.id(name), p)
	must(f.t, err)
	f.keys[name] = key
	f.before = f.state()
}
