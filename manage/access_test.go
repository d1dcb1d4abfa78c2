package manage_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

func newDesk(t testing.TB, store apikey.KeyManager) *manage.Desk {
	t.Helper()
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	desk, err := manage.New(issuer)
	require.NoError(t, err)
	return desk
}

func TestNewRefusesAStoreWithoutConditions(t *testing.T) {
	t.Parallel()
	type unconditional struct{ apikey.KeyManager }
	issuer, err := apikey.NewIssuer(unconditional{memstore.New()}, apikey.IssuerOptions{})
	require.NoError(t, err)
	for _, i := range []*apikey.Issuer{nil, {}, issuer} {
		_, err = manage.New(i)
		require.ErrorIs(t, err, apikey.ErrInvalid)
		require.ErrorContains(t, err, "manage: invalid Issuer: ")
	}
}

func TestAsRefusesADeskThatNewDidNotMake(t *testing.T) {
	t.Parallel()
	for _, desk := range []*manage.Desk{nil, {}} {
		session, err := desk.As(manage.Access{Actor: "ann", AllOwners: true})
		require.ErrorIs(t, err, apikey.ErrInvalid)
		require.ErrorContains(t, err, "manage: invalid Desk: ")
		require.Nil(t, session)
	}
}

func TestAsRefusesNonsense(t *testing.T) {
	t.Parallel()
	desk := newDesk(t, memstore.New())
	for _, test := range []struct {
		name   string
		access manage.Access
		field  string // "" if the Access is valid
	}{
		{"the zero Access", manage.Access{}, "Actor"},
		{"no actor", manage.Access{Owner: "alice"}, "Actor"},
		{"a blank actor", manage.Access{Actor: " \u00a0", Owner: "alice"}, "Actor"},
		{"an actor with a line break", manage.Access{Actor: "ann\nbob", Owner: "alice"}, "Actor"},
		{"an actor that looks like another one", manage.Access{Actor: "an\u00adn", Owner: "alice"}, "Actor"},
		{"an actor who turns the text around", manage.Access{Actor: "\u202enna", Owner: "alice"}, "Actor"},
		{"an actor who needs a joiner", manage.Access{Actor: "نمی\u200cدانم 👩\u200d💻", Owner: "alice"}, ""},
		{"an actor that is not UTF-8", manage.Access{Actor: "\xff", Owner: "alice"}, "Actor"},
		{"an actor of 201 characters", manage.Access{Actor: strings.Repeat("é", 201), Owner: "alice"}, "Actor"},
		{"an actor of 200 characters", manage.Access{Actor: strings.Repeat("é", 200), Owner: "alice"}, ""},
		{"neither an owner nor all", manage.Access{Actor: "ann", AnyScope: true}, "Owner, AllOwners"},
		{"an owner and all", manage.Access{Actor: "ann", Owner: "alice", AllOwners: true}, "Owner, AllOwners"},
		{"an owner that no key has", manage.Access{Actor: "ann", Owner: "a\x00"}, "Owner"},
		{"an owner of 101 characters", manage.Access{Actor: "ann", Owner: strings.Repeat("a", 101)}, "Owner"},
		{"scopes and any scope", manage.Access{Actor: "ann", AllOwners: true, AnyScope: true, Scopes: []string{}}, "Scopes, AnyScope"},
		{"a scope that no key has", manage.Access{Actor: "ann", Owner: "alice", Scopes: []string{"read", "two words"}}, "Scopes"},
		{"150 scopes", manage.Access{Actor: "ann", Owner: "alice", Scopes: strings.Split(strings.Repeat("read ", 150)+"write", " ")}, ""},
		{"a negative number of keys", manage.Access{Actor: "ann", Owner: "alice", MaxKeys: -1}, "MaxKeys"},
		{"a number of keys of all owners", manage.Access{Actor: "ann", AllOwners: true, MaxKeys: 1}, "MaxKeys"},
		{"a negative lifetime", manage.Access{Actor: "ann", Owner: "alice", MaxLifetime: -1}, "MaxLifetime"},
		{"a time that no store has", manage.Access{Actor: "ann", Owner: "alice", NotAfter: time.Unix(-1, 0)}, "NotAfter"},
		{"an owner", manage.Access{Actor: "ann", Owner: "alice"}, ""},
		{"all owners", manage.Access{Actor: "ann", AllOwners: true}, ""},
	} {
		session, err := desk.As(test.access)
		if test.field == "" {
			require.NoError(t, err, test.name)
			continue
		}
		assert.Nil(t, session, test.name)
		var invalid *apikey.InvalidError
		require.ErrorAs(t, err, &invalid, test.name)
		assert.Equal(t, test.field, invalid.Field, test.name)
		assert.ErrorContains(t, err, "manage: ", test.name)
	}
}

func TestKeyActor(t *testing.T) {
	t.Parallel()
	require.Equal(t, "API key Backup job (1)", manage.KeyActor(apikey.Key{ID: "1", Name: "Backup job"}))
	require.Equal(t, "API key (1)", manage.KeyActor(apikey.Key{ID: "1", Name: "Back\u00adup"}), "a name of an earlier version")
}

func TestByKey(t *testing.T) {
	t.Parallel()
	future := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	key := apikey.Key{ID: "7Qd", Name: "Backup job", Owner: "alice", Scopes: []string{manage.ScopeManage, "read"}}
	for _, test := range []struct {
		name string
		edit func(*apikey.Key)
		want manage.Access
	}{
		{"a key that never expires", func(*apikey.Key) {},
			manage.Access{Actor: "API key Backup job (7Qd)", Owner: "alice", Scopes: []string{manage.ScopeManage, "read"}}},
		{"a key that expires", func(k *apikey.Key) { k.ExpiresAt = future },
			manage.Access{Actor: "API key Backup job (7Qd)", Owner: "alice", Scopes: []string{manage.ScopeManage, "read"}, NotAfter: future}},
		{"a key with networks and limits", func(k *apikey.Key) { k.Networks, k.Limits = officeNetworks, officeLimits },
			manage.Access{Actor: "API key Backup job (7Qd)", Owner: "alice", Scopes: []string{manage.ScopeManage, "read"}, Networks: officeNetworks, Limits: officeLimits}},
		{"a key without the scope", func(k *apikey.Key) { k.Scopes = []string{"read"} }, manage.Access{}},
		{"a key without an owner", func(k *apikey.Key) { k.Owner = "" }, manage.Access{}},
		{"an administrator's key", func(k *apikey.Key) { k.Owner, k.Scopes = "", []string{manage.ScopeAdminister} },
			manage.Access{Actor: "API key Backup job (7Qd)", AllOwners: true, AnyScope: true}},
		{"an administrator's key with an end, networks and limits", func(k *apikey.Key) {
			k.Owner, k.Scopes = "", []string{manage.ScopeAdminister}
			k.ExpiresAt, k.Networks, k.Limits = future, officeNetworks, officeLimits
		}, manage.Access{Actor: "API key Backup job (7Qd)", AllOwners: true, AnyScope: true, NotAfter: future, Networks: officeNetworks, Limits: officeLimits}},
		{"an owner's key with the administrator's scope", func(k *apikey.Key) { k.Scopes = []string{manage.ScopeAdminister} }, manage.Access{}},
		{"an owner's key with both scopes", func(k *apikey.Key) { k.Scopes = []string{manage.ScopeManage, manage.ScopeAdminister} },
			manage.Access{Actor: "API key Backup job (7Qd)", Owner: "alice", Scopes: []string{manage.ScopeManage, manage.ScopeAdminister}}},
		{"a revoked administrator's key", func(k *apikey.Key) {
			k.Owner, k.Scopes, k.RevokedAt = "", []string{manage.ScopeAdminister}, time.Now()
		}, manage.Access{}},
		{"an expired key", func(k *apikey.Key) { k.ExpiresAt = time.Now() }, manage.Access{}},
		{"a revoked key", func(k *apikey.Key) { k.RevokedAt = time.Now() }, manage.Access{}},
		{"a suspended key", func(k *apikey.Key) { k.SuspendedAt = time.Now() }, manage.Access{}},
	} {
		k := key.Clone()
		test.edit(&k)
		require.Equal(t, test.want, manage.ByKey(k), test.name)
	}
	_, err := newDesk(t, memstore.New()).As(manage.Access{})
	require.ErrorIs(t, err, apikey.ErrInvalid, "As refuses the zero Access")
}

// As accepts an Access or names the field. A session that it makes can write its actor and list its keys.
func FuzzAs(f *testing.F) {
	f.Add("ann", "alice", false, "read write", int64(time.Hour), 5)
	f.Add("a\u202eb", "", true, "", int64(0), 0)
	f.Fuzz(func(t *testing.T, actor, owner string, all bool, scopes string, lifetime int64, most int) {
		store := memstore.New()
		session, err := newDesk(t, store).As(manage.Access{Actor: actor, Owner: owner, AllOwners: all, Scopes: strings.Fields(scopes),
			MaxLifetime: time.Duration(lifetime), MaxKeys: most})
		if err != nil {
			require.ErrorIs(t, err, apikey.ErrInvalid)
			require.Nil(t, session)
			return
		}
		require.True(t, all != (owner != ""))
		require.True(t, utf8.ValidString(actor))
		_, err = session.List(t.Context(), apikey.ListOptions{})
		require.NoError(t, err)
		_, key, err := session.Issue(t.Context(), apikey.NewKey{Name: "Backup job"}, "")
		if err != nil {
			require.ErrorIs(t, err, apikey.ErrInvalid) // an owner that no new key may have
			return
		}
		require.Equal(t, owner, key.Owner)
		page, err := session.History(t.Context(), apikey.AuditOptions{KeyID: key.ID})
		require.NoError(t, err)
		require.Equal(t, actor, page.Entries[0].Actor)
	})
}

// A request ID is refused, or it makes one key however often it is repeated. Other request IDs make other
// keys.
func FuzzRequestID(f *testing.F) {
	f.Add("1", "2")
	f.Add("0ddee2ba-5b1c-4b0f-9c6a-0d8f3f4b6a77", `"quoted"`)
	f.Add("", "two words")
	f.Fuzz(func(t *testing.T, one, other string) {
		session, err := newDesk(t, memstore.New()).As(manage.Access{Actor: "alice", Owner: "alice"})
		require.NoError(t, err)
		issue := func(request string) (string, bool) {
			_, key, err := session.Issue(t.Context(), apikey.NewKey{Name: "Backup job"}, request)
			if err != nil {
				require.ErrorIs(t, err, apikey.ErrInvalid)
				return "", false
			}
			require.True(t, apikey.ValidID(key.ID))
			return key.ID, true
		}
		first, ok := issue(one)
		if again, _ := issue(one); ok {
			require.Equal(t, one != "", first == again)
		}
		if second, valid := issue(other); ok && valid {
			require.Equal(t, one == other && one != "", first == second)
		}
	})
}
