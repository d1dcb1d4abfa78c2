package manage_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

// office24 and the like are the values that the random operations choose from.
var (
	office24 = netip.MustParsePrefix("192.0.2.0/24")
	office25 = netip.MustParsePrefix("192.0.2.0/25")
)

// customer is the Access whose operations must not grow privilege.
var customer = manage.Access{Actor: "alice", Owner: "alice", Scopes: []string{"read", "write"}, MaxLifetime: 20 * day, MaxKeys: 4}

// given returns the keys that an administrator made, by ID.
func given(t testing.TB, issuer *apikey.Issuer) map[string]apikey.Key {
	t.Helper()
	keys := map[string]apikey.Key{}
	for i, k := range []apikey.NewKey{
		{Owner: "alice", Scopes: []string{"read"}},
		{Owner: "alice", Scopes: []string{"read", "admin"}, Networks: []netip.Prefix{office25}, ExpiresAt: time.Now().Add(day)},
		{Owner: "alice", Scopes: []string{"write"}, ExpiresAt: time.Now().Add(50 * day)},
		{Owner: "bob", Scopes: []string{"read"}},
		{Scopes: []string{"read"}},
	} {
		k.Name = fmt.Sprint("given ", i)
		_, key, err := issuer.Issue(t.Context(), k)
		require.NoError(t, err)
		if i == 2 {
			suspended := true
			key, err = issuer.Manager().Update(t.Context(), key.ID, apikey.Patch{Suspended: &suspended})
			require.NoError(t, err)
		}
		keys[key.ID] = key
	}
	return keys
}

// TestPrivilegeNeverGrows makes random changes in the session of an owner. Afterwards no key is more than
// an administrator gave it or the session may give.
func TestPrivilegeNeverGrows(t *testing.T) {
	t.Parallel()
	succeeded := map[string]int{}
	for seed := range uint64(300) {
		store := memstore.New()
		desk := newDesk(t, store)
		given := given(t, desk.Issuer())
		session, err := desk.As(customer)
		require.NoError(t, err)
		random := rand.New(rand.NewPCG(seed, 0))
		for range 40 {
			keys, err := store.List(t.Context(), apikey.ListOptions{Limit: 500})
			require.NoError(t, err)
			operation, err := change(t, session, random, keys.Keys[random.IntN(len(keys.Keys))].ID)
			if err == nil {
				succeeded[operation]++
			}
			check(t, store, given, fmt.Sprintf("seed %d: %s: %v", seed, operation, err))
		}
	}
	for _, operation := range []string{"issue", "scopes", "expiry", "networks", "suspended", "rotate", "revoke"} {
		require.NotZero(t, succeeded[operation], "%s never succeeded, so the test shows nothing about it", operation)
	}
	for _, operation := range []string{"owner", "limits"} {
		require.Zero(t, succeeded[operation], "%s succeeded", operation)
	}
}

// change makes one random change of a key.
func change(t testing.TB, s *manage.Session, random *rand.Rand, id string) (operation string, err error) {
	now := time.Now()
	scopes := [][]string{nil, {"read"}, {"write"}, {"read", "write"}, {"read", "admin"}, {"admin"}}[random.IntN(6)]
	expiry := []time.Time{{}, now.Add(-day), now.Add(day / 2), now.Add(19 * day), now.Add(21 * day), now.Add(49 * day)}[random.IntN(6)]
	networks := [][]netip.Prefix{nil, {office24}, {office25}, {office25, netip.MustParsePrefix("::/0")}}[random.IntN(4)]
	operation = []string{"issue", "scopes", "expiry", "networks", "suspended", "owner", "limits", "rotate", "revoke"}[random.IntN(9)]
	p := apikey.Patch{}
	switch operation {
	case "issue":
		_, _, err = s.Issue(t.Context(), apikey.NewKey{Name: "new", Scopes: scopes, ExpiresAt: expiry, Networks: networks}, "")
		return operation, err
	case "rotate":
		_, _, err = s.Rotate(t.Context(), id, []time.Duration{0, day, 300 * day}[random.IntN(3)], "")
		return operation, err
	case "revoke":
		_, err = s.Revoke(t.Context(), id)
		return operation, err
	case "scopes":
		p.Scopes = &scopes
	case "expiry":
		p.ExpiresAt = &expiry
		if random.IntN(2) == 0 {
			p.Scopes = &scopes
		}
	case "networks":
		p.Networks = &networks
	case "suspended":
		p.Suspended = new(random.IntN(2) == 0)
	case "owner":
		p.Owner = new([]string{"bob", ""}[random.IntN(2)])
	case "limits":
		p.Limits = &[]apikey.Limit{{Name: "rate", Requests: 1, Per: time.Second}}
	}
	_, err = s.Update(t.Context(), id, "", p)
	return operation, err
}

// check requires that no key has more than an administrator gave it or the customer may give.
func check(t testing.TB, store apikey.KeyManager, given map[string]apikey.Key, what string) {
	latest, living := time.Now().Add(customer.MaxLifetime), 0
	for key, err := range apikey.Keys(t.Context(), store, apikey.ListOptions{}) {
		require.NoError(t, err)
		before, isGiven := given[key.ID]
		if isGiven && before.Owner != "alice" {
			require.Equal(t, before, key, "%s: a key of another owner", what)
			continue
		}
		require.Equal(t, "alice", key.Owner, what)
		if key.RevokedAt.IsZero() && (key.ExpiresAt.IsZero() || key.ExpiresAt.After(time.Now())) {
			living++
		}
		beyond := slices.Contains(key.Scopes, "admin")
		livesLonger := key.ExpiresAt.IsZero() || key.ExpiresAt.After(latest)
		if !isGiven {
			require.False(t, beyond, "%s: a new key has a scope beyond", what)
			require.False(t, livesLonger, "%s: a new key lives until %v", what, key.ExpiresAt)
			continue
		}
		if !before.SuspendedAt.IsZero() {
			require.NotZero(t, key.SuspendedAt, "%s: a key was resumed", what)
		}
		if beyond {
			require.Contains(t, before.Scopes, "admin", what)
			require.False(t, prolonged(key, before), "%s: a key with a scope beyond was prolonged", what)
			require.False(t, len(key.Networks) == 0 || slices.Contains(key.Networks, office24) || len(key.Networks) > 1, "%s: a key with a scope beyond got networks", what)
		}
		if livesLonger {
			require.False(t, prolonged(key, before), "%s: a key was prolonged", what)
			for _, scope := range key.Scopes {
				require.Contains(t, before.Scopes, scope, "%s: a key that lives longer got a scope", what)
			}
		}
	}
	require.LessOrEqual(t, living, customer.MaxKeys+1, what)
}

func prolonged(key, before apikey.Key) bool {
	return !before.ExpiresAt.IsZero() && (key.ExpiresAt.IsZero() || key.ExpiresAt.After(before.ExpiresAt))
}
