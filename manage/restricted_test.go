package manage_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

var (
	officeNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	officeLimits   = []apikey.Limit{{Name: "rate", Requests: 10, Per: time.Second}}
)

// A session whose Access has networks and limits does not make a key that is less restricted, and does not
// get the secret of such a key.
func TestRestrictedAccess(t *testing.T) {
	t.Parallel()
	desk := newDesk(t, memstore.New())
	admin, err := desk.As(manage.Access{Actor: "ann", AllOwners: true, AnyScope: true})
	require.NoError(t, err)
	alice, err := desk.As(manage.Access{Actor: "alice", Owner: "alice", Scopes: []string{"read", "write"}, Networks: officeNetworks, Limits: officeLimits})
	require.NoError(t, err)
	narrow, wide := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/25")}, []netip.Prefix{netip.MustParsePrefix("192.0.0.0/16")}
	more := append([]apikey.Limit{{Name: "day", Requests: 5, Calendar: "day"}}, officeLimits...)
	fewer := []apikey.Limit{{Name: "rate", Requests: 11, Per: time.Second}}
	refused := func(t *testing.T, want manage.Rule, err error) {
		t.Helper()
		var e *manage.RefusedError
		require.ErrorAs(t, err, &e)
		assert.Equal(t, want, e.Rule)
	}

	t.Run("a new key gets the networks and limits of the Access", func(t *testing.T) {
		_, key, err := alice.Issue(t.Context(), apikey.NewKey{Name: "new"}, "request")
		require.NoError(t, err)
		assert.Equal(t, officeNetworks, key.Networks)
		assert.Equal(t, officeLimits, key.Limits)
		_, again, err := alice.Issue(t.Context(), apikey.NewKey{Name: "new"}, "request")
		require.NoError(t, err, "a repeated request")
		assert.Equal(t, key.ID, again.ID)
	})
	t.Run("a new key may be more restricted", func(t *testing.T) {
		_, _, err := alice.Issue(t.Context(), apikey.NewKey{Name: "new", Networks: narrow, Limits: more}, "")
		assert.NoError(t, err)
	})
	t.Run("a new key may not be less restricted", func(t *testing.T) {
		_, _, err := alice.Issue(t.Context(), apikey.NewKey{Name: "new", Networks: wide}, "")
		refused(t, manage.RuleNetworks, err)
		_, _, err = alice.Issue(t.Context(), apikey.NewKey{Name: "new", Limits: fewer}, "")
		refused(t, manage.RuleLimits, err)
	})
	t.Run("a 4-in-6 network is an IPv4 network", func(t *testing.T) {
		all4 := []netip.Prefix{netip.MustParsePrefix("::ffff:0.0.0.0/96")}
		for _, within := range []string{"::/0", "::/80", "192.0.2.0/24"} {
			s := as(t, desk, manage.Access{Actor: "alice", Owner: "alice", Networks: []netip.Prefix{netip.MustParsePrefix(within)}})
			_, _, err := s.Issue(t.Context(), apikey.NewKey{Name: "new", Networks: all4}, "")
			refused(t, manage.RuleNetworks, err)
		}
		s := as(t, desk, manage.Access{Actor: "alice", Owner: "alice", Networks: all4})
		_, key, err := s.Issue(t.Context(), apikey.NewKey{Name: "new", Networks: narrow}, "")
		require.NoError(t, err)
		assert.Equal(t, narrow, key.Networks)
	})
	t.Run("the result of Session.Access belongs to the caller", func(t *testing.T) {
		a := alice.Access()
		a.Networks[0], a.Limits[0] = wide[0], fewer[0]
		_, _, err := alice.Issue(t.Context(), apikey.NewKey{Name: "new", Networks: wide}, "")
		refused(t, manage.RuleNetworks, err)
		assert.Equal(t, officeLimits, alice.Access().Limits)
	})
	_, free, err := admin.Issue(t.Context(), apikey.NewKey{Name: "free", Owner: "alice", Scopes: []string{"read"}, ExpiresAt: time.Now().Add(time.Hour)}, "")
	require.NoError(t, err)
	t.Run("a key that is less restricted gets no more rights", func(t *testing.T) {
		_, err := alice.Update(t.Context(), free.ID, "", apikey.Patch{Scopes: &[]string{"read", "write"}})
		refused(t, manage.RuleNetworks, err)
		_, err = alice.Update(t.Context(), free.ID, "", apikey.Patch{ExpiresAt: new(time.Now().Add(2 * time.Hour))})
		refused(t, manage.RuleNetworks, err)
		_, _, err = alice.Rotate(t.Context(), free.ID, 0, "")
		refused(t, manage.RuleNetworks, err)
	})
	t.Run("a key that is less restricted can be restricted, renamed and revoked", func(t *testing.T) {
		_, err := alice.Update(t.Context(), free.ID, "", apikey.Patch{Networks: &officeNetworks, Name: new("renamed")})
		require.NoError(t, err)
		_, _, err = alice.Rotate(t.Context(), free.ID, 0, "")
		refused(t, manage.RuleLimits, err)
		_, err = alice.Revoke(t.Context(), free.ID)
		assert.NoError(t, err)
	})
	t.Run("a network cannot be widened beyond the Access", func(t *testing.T) {
		_, key, err := alice.Issue(t.Context(), apikey.NewKey{Name: "narrow", Networks: narrow}, "")
		require.NoError(t, err)
		_, err = alice.Update(t.Context(), key.ID, "", apikey.Patch{Networks: &wide})
		refused(t, manage.RuleNetworks, err)
		_, err = alice.Update(t.Context(), key.ID, "", apikey.Patch{Networks: &[]netip.Prefix{}})
		refused(t, manage.RuleNetworks, err)
		_, err = alice.Update(t.Context(), key.ID, "", apikey.Patch{Networks: &officeNetworks})
		assert.NoError(t, err)
	})
	t.Run("an Access with networks and limits that no key can have is refused", func(t *testing.T) {
		for _, a := range []manage.Access{{Networks: []netip.Prefix{{}}}, {Limits: []apikey.Limit{{Name: "rate"}}}} {
			a.Actor, a.Owner = "alice", "alice"
			_, err := desk.As(a)
			assert.ErrorIs(t, err, apikey.ErrInvalid)
		}
	})
}

// The Issuer's MaxLifetime counts from the creation of a key, so that a key cannot be renewed forever.
func TestUpdateDoesNotRenewForever(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{MaxLifetime: 30 * 24 * time.Hour})
	require.NoError(t, err)
	desk, err := manage.New(issuer)
	require.NoError(t, err)
	admin, err := desk.As(manage.Access{Actor: "ann", AllOwners: true, AnyScope: true})
	require.NoError(t, err)
	now := time.Now()
	key := apikey.Key{ID: "old", Name: "x", CreatedAt: now.AddDate(0, 0, -20), ExpiresAt: now.AddDate(0, 0, 1)}
	require.NoError(t, store.Create(t.Context(), apikey.Digest{1}, key))
	_, err = admin.Update(t.Context(), "old", "", apikey.Patch{ExpiresAt: new(now.AddDate(0, 0, 11))})
	var refused *manage.RefusedError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, manage.RuleLifetime, refused.Rule)
	_, err = admin.Update(t.Context(), "old", "", apikey.Patch{ExpiresAt: new(now.AddDate(0, 0, 9))})
	assert.NoError(t, err)
}
