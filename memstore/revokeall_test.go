package memstore

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestRevokeAllTakesSeveralSteps(t *testing.T) {
	t.Parallel()
	for _, n := range []int{revokeStep - 1, revokeStep, revokeStep + 1, 2*revokeStep + 1} {
		s := New()
		for i := range n {
			add(t, s, apikey.Key{ID: fmt.Sprint("mine-", i), Owner: "mine"})
			add(t, s, apikey.Key{ID: fmt.Sprint("other-", i), Owner: "other"})
		}
		revoked, err := s.RevokeAll(t.Context(), "mine")
		require.NoError(t, err)
		assert.Equal(t, n, revoked)
		page, err := s.Audit(t.Context(), apikey.AuditOptions{Limit: 2})
		require.NoError(t, err)
		assert.Equal(t, "revoke_all", page.Entries[0].Action, "the last entry of %d", n)
		assert.Equal(t, "revoke", page.Entries[1].Action, "the call has one entry of %d", n)
		for _, key := range []string{"mine-0", fmt.Sprint("mine-", n-1), "other-0", fmt.Sprint("other-", n-1)} {
			got, err := s.Get(t.Context(), key)
			require.NoError(t, err)
			assert.Equal(t, got.Owner == "other", got.RevokedAt.IsZero(), key)
		}
	}
}
