//go:build long

package drivertest

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/limit"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// Every node applies a change of a key at its next poll, regardless of which node made the change.
func TestEveryNodeAppliesChangesOfAKey(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.openTables(t)
		o := cachestore.Options{Poll: 50 * time.Millisecond}
		here, there := e.openNode(t, dsn, sqlstore.Options{}, o), e.openNode(t, dsn, sqlstore.Options{}, o)
		secret, key, err := here.issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job", Owner: "ada"})
		require.NoError(t, err)
		elsewhere := []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
		for _, step := range []struct {
			name string
			p    apikey.Patch
			want int
		}{
			{"a new key is accepted", apikey.Patch{}, http.StatusOK},
			{"a suspended key is refused", apikey.Patch{Suspended: new(true)}, http.StatusUnauthorized},
			{"a resumed key is accepted", apikey.Patch{Suspended: new(false)}, http.StatusOK},
			{"a key of other networks is forbidden", apikey.Patch{Networks: &elsewhere}, http.StatusForbidden},
			{"a key of all networks is accepted", apikey.Patch{Networks: new([]netip.Prefix)}, http.StatusOK},
			{"an expired key is refused", apikey.Patch{ExpiresAt: new(time.Now())}, http.StatusUnauthorized},
			{"a prolonged key is accepted", apikey.Patch{ExpiresAt: new(time.Time)}, http.StatusOK},
		} {
			_, err := here.store.Update(t.Context(), key.ID, step.p)
			require.NoError(t, err)
			require.Equal(t, step.want, here.status(t, secret), "%s by the node that made the change", step.name)
			eventually(t, 3*time.Second, step.name+" by the other node", func() bool { return there.status(t, secret) == step.want })
		}
		n, err := here.store.RevokeAll(t.Context(), "ada")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, http.StatusUnauthorized, here.status(t, secret))
		eventually(t, 3*time.Second, "the keys of an owner are revoked on the other node", func() bool {
			return there.status(t, secret) == http.StatusUnauthorized
		})
	})
}

// Every node applies changed limits at its next poll.
func TestEveryNodeAppliesChangedLimits(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.openTables(t)
		o := cachestore.Options{Poll: 50 * time.Millisecond}
		here, there := e.openNode(t, dsn, sqlstore.Options{}, o), e.openNode(t, dsn, sqlstore.Options{}, o)
		secret, key, err := here.issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job"})
		require.NoError(t, err)
		limits, err := limit.New(limit.Memory(), limit.Options{})
		require.NoError(t, err)
		status := func(n *cacheNode) int {
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
			r.Header.Set("X-API-Key", secret.Reveal())
			n.auth.Handler(limits.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))).ServeHTTP(w, r)
			return w.Code
		}
		quota, err := apikey.ParseLimits("quota=1/month")
		require.NoError(t, err)
		for _, step := range []struct {
			name   string
			limits []apikey.Limit
			want   int
		}{
			{"a key without limits is never refused", nil, http.StatusOK},
			{"a key whose quota is used up is refused", quota, http.StatusTooManyRequests},
			{"a key without limits is accepted again", nil, http.StatusOK},
		} {
			_, err := here.store.Update(t.Context(), key.ID, apikey.Patch{Limits: &step.limits})
			require.NoError(t, err)
			status(here) // uses up the quota
			require.Equal(t, step.want, status(here), "%s by the node that made the change", step.name)
			eventually(t, 3*time.Second, step.name+" by the other node", func() bool { return status(there) == step.want })
		}
	})
}
