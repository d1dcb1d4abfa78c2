package manage_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestOwnersDoNotSeeEachOther(t *testing.T) {
	issuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{})
	require.NoError(t, err)
	desk, err := manage.New(issuer)
	require.NoError(t, err)
	alice, err := desk.As(manage.Access{Actor: "alice", Owner: "alice"})
	require.NoError(t, err)
	bob, err := desk.As(manage.Access{Actor: "bob", Owner: "bob"})
	require.NoError(t, err)
	_, key, err := alice.Issue(t.Context(), apikey.NewKey{Name: "Backup job"}, "")
	require.NoError(t, err)
	require.Equal(t, "alice", key.Owner)
	_, err = bob.Get(t.Context(), key.ID)
	require.ErrorIs(t, err, apikey.ErrNotFound)
	page, err := bob.List(t.Context(), apikey.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, page.Keys)
}
