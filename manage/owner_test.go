package manage_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

// as returns a session with an Access.
func as(t testing.TB, desk *manage.Desk, a manage.Access) *manage.Session {
	t.Helper()
	session, err := desk.As(a)
	require.NoError(t, err)
	return session
}

var (
	administrator = manage.Access{Actor: "administrator", AllOwners: true, AnyScope: true}
	bob           = manage.Access{Actor: "bob", Owner: "bob", Scopes: []string{"read", "write"}}
)

// A support worker who knows the secret of a key must not move it to an account for which they cannot make
// such a key.
func TestMovingAKeyGivesTheNewOwnerNoMoreThanANewKey(t *testing.T) {
	t.Parallel()
	support := manage.Access{Actor: "support", AllOwners: true, Scopes: []string{"read"}, MaxLifetime: 20 * day}
	soon := time.Now().Add(day)
	for _, test := range []struct {
		name string
		key  apikey.NewKey
		to   string
		rule manage.Rule // "" if the move is permitted
	}{
		{"a key that the session could make", apikey.NewKey{Scopes: []string{"read"}, ExpiresAt: soon}, "alice", ""},
		{"a key without scopes", apikey.NewKey{ExpiresAt: soon}, "alice", ""},
		{"a key with a scope beyond", apikey.NewKey{Scopes: []string{"read", "write"}, ExpiresAt: soon}, "alice", manage.RuleScopes},
		{"a key with a scope beyond, to no owner", apikey.NewKey{Scopes: []string{manage.ScopeManage}, ExpiresAt: soon}, "", manage.RuleScopes},
		{"a key that lives too long", apikey.NewKey{Scopes: []string{"read"}, ExpiresAt: time.Now().Add(21 * day)}, "alice", manage.RuleLifetime},
		{"a key that never expires", apikey.NewKey{Scopes: []string{"read"}}, "alice", manage.RuleLifetime},
		{"to the owner that it has", apikey.NewKey{Scopes: []string{"write"}}, "bob", ""},
	} {
		desk := newDesk(t, memstore.New())
		test.key.Name, test.key.Owner = "Backup job", "bob"
		_, key, err := desk.Issuer().Issue(t.Context(), test.key)
		require.NoError(t, err, test.name)
		_, err = as(t, desk, support).Update(t.Context(), key.ID, "", apikey.Patch{Owner: &test.to})
		if test.rule == "" {
			require.NoError(t, err, test.name)
			continue
		}
		var refused *manage.RefusedError
		require.ErrorAs(t, err, &refused, test.name)
		require.Equal(t, test.rule, refused.Rule, test.name)
		require.Equal(t, "Owner", refused.Field, test.name)
		_, err = as(t, desk, administrator).Update(t.Context(), key.ID, "", apikey.Patch{Owner: &test.to})
		require.NoError(t, err, test.name+", by an administrator")
	}
}

func TestRotateDoesNotNameTheSuccessorOfAnotherOwner(t *testing.T) {
	t.Parallel()
	desk := newDesk(t, memstore.New())
	session := as(t, desk, bob)
	_, old, err := session.Issue(t.Context(), apikey.NewKey{Name: "Backup job"}, "")
	require.NoError(t, err)
	_, successor, err := session.Rotate(t.Context(), old.ID, time.Hour, "")
	require.NoError(t, err)
	var replaced *apikey.ReplacedError
	_, _, err = session.Rotate(t.Context(), old.ID, time.Hour, "")
	require.ErrorAs(t, err, &replaced)
	require.Equal(t, successor.ID, replaced.Successor, "its own successor")

	_, err = as(t, desk, administrator).Update(t.Context(), successor.ID, "", apikey.Patch{Owner: new("alice")})
	require.NoError(t, err)
	for _, request := range []string{"", "0ddee2ba"} {
		_, _, err = session.Rotate(t.Context(), old.ID, time.Hour, request)
		require.ErrorIs(t, err, apikey.ErrReplaced)
		require.ErrorAs(t, err, &replaced)
		require.Empty(t, replaced.Successor)
		require.NotContains(t, err.Error(), successor.ID)
	}
	_, err = as(t, desk, administrator).Revoke(t.Context(), old.ID)
	require.NoError(t, err)
	_, _, err = session.Rotate(t.Context(), old.ID, time.Hour, "")
	require.ErrorIs(t, err, apikey.ErrRevoked, "the error still names the revocation")
	require.NotContains(t, err.Error(), successor.ID)
}

// A movingStore moves a key to another owner, who renames it, before the session reads its history.
type movingStore struct {
	*memstore.Store
	move func()
}

func (s *movingStore) Audit(ctx context.Context, o apikey.AuditOptions) (apikey.AuditPage, error) {
	s.move()
	return s.Store.Audit(ctx, o)
}

func TestHistoryEndsWhenTheKeyGoesToAnotherOwner(t *testing.T) {
	t.Parallel()
	store := &movingStore{Store: memstore.New()}
	desk := newDesk(t, store)
	_, key, err := as(t, desk, bob).Issue(t.Context(), apikey.NewKey{Name: "Backup job"}, "")
	require.NoError(t, err)
	store.move = func() {
		_, err := as(t, desk, administrator).Update(t.Context(), key.ID, "", apikey.Patch{Owner: new("alice")})
		require.NoError(t, err)
		for _, name := range []string{"Of alice", "Still of alice"} {
			_, err = as(t, desk, manage.Access{Actor: "alice", Owner: "alice"}).Update(t.Context(), key.ID, "", apikey.Patch{Name: &name})
			require.NoError(t, err)
		}
	}
	page, err := as(t, desk, bob).History(t.Context(), apikey.AuditOptions{KeyID: key.ID, Limit: 1})
	require.ErrorIs(t, err, apikey.ErrNotFound)
	require.Empty(t, page)
}
