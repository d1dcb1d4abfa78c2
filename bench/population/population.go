// Package population generates the keys of benchmarks.
package population

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// A Population is a memstore with keys, and their secrets in random order.
type Population struct {
	Store *memstore.Store
	Keys  []string
}

// New issues n keys with a name, a scope and an expiry. The secrets are adjacent in memory, so that the processor has
// them in its caches, like a header that a server has just parsed.
func New(tb testing.TB, f *apikey.Format, n int) *Population {
	tb.Helper()
	p := &Population{Store: memstore.New()}
	issuer, err := apikey.NewIssuer(p.Store, apikey.IssuerOptions{Format: f})
	require.NoError(tb, err)
	keys := make([]string, n)
	for i := range keys {
		secret, _, err := issuer.Issue(tb.Context(), apikey.NewKey{
			Name: fmt.Sprintf("Backup job %d", i), Scopes: []string{"library:read"}, ExpiresAt: time.Now().Add(24 * time.Hour),
		})
		require.NoError(tb, err)
		keys[i] = secret.Reveal()
	}
	rand.Shuffle(n, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	length, all := len(keys[0]), strings.Join(keys, "")
	for i := range keys {
		p.Keys = append(p.Keys, all[i*length:(i+1)*length])
	}
	return p
}

// Unknown returns a well-formed key that no other store contains.
func Unknown(tb testing.TB, f *apikey.Format) string { return New(tb, f, 1).Keys[0] }
