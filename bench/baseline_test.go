// Package bench measures requests relative to a baseline, and the stores. See README.md.
package bench

import (
	"context"
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/bench/interleave"
	"github.com/latchkey-dev/apikey/bench/population"
)

// An account is the identity in the baseline.
type account struct{ name string }

// A baseline does only the work that every such middleware must do. It hashes a key, looks the digest up in a map,
// reads the clock, and puts the identity into the request. It does not extract the key from the request.
type baseline struct {
	key      func() string
	accounts map[apikey.Digest]*account
}

// newBaseline returns an Exchange with a baseline that knows all keys of a population. The requests use the keys in
// presented.
func newBaseline(p *population.Population, presented []string) *interleave.Exchange {
	h := &baseline{key: rotate(presented), accounts: make(map[apikey.Digest]*account, len(p.Keys))}
	for _, key := range p.Keys {
		h.accounts[sha256.Sum256([]byte(key))] = &account{name: "Backup job"}
	}
	return interleave.New(h, interleave.Request("/library"))
}

// clock prevents the compiler from removing the call of time.Now.
var clock time.Time

func (h *baseline) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var buf [64]byte // on the stack, because []byte(key) allocates
	a := h.accounts[sha256.Sum256(buf[:copy(buf[:], h.key())])]
	if a == nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	clock = time.Now()
	interleave.Serve(w, r.WithContext(&accountContext{r.Context(), a}))
}

// An accountContext is cheaper than context.WithValue, which checks its key by reflection.
type accountContext struct {
	context.Context
	account *account
}

type accountKey struct{}

func (c *accountContext) Value(key any) any {
	if key == (accountKey{}) {
		return c.account
	}
	return c.Context.Value(key)
}

// rotate returns a function that returns the keys in turn.
func rotate(keys []string) (next func() string) {
	i := 0
	return func() string {
		if i++; i >= len(keys) {
			i = 0
		}
		return keys[i]
	}
}
