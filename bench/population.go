package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// few is how many keys there are where their number is not what is measured.
const few = 1_000

// keyLen is the length of the keys that everyone is asked with: "key_", 30 random and 6
// check characters.
const keyLen = 40

// keyFormat writes keys of 40 bytes.
var keyFormat = must(apikey.NewFormat("key", apikey.FormatOptions{}))

// pepperedFormat is keyFormat with a pepper.
var pepperedFormat = must(apikey.NewFormat("key", apikey.FormatOptions{
	Peppers: []apikey.Secret{apikey.NewSecret(strings.Repeat("pepper! ", 4))},
}))

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // an argument in this file
	}
	return v
}

// A population is a store with keys in it, and the keys.
type population struct {
	store    *memstore.Store
	keys     []string
	accounts map[apikey.Digest]*account // for the floor; see digests
}

// A template is what the keys of a population have in common.
type template struct {
	n       int
	forever bool // they do not expire
	pepper  bool
}

func (t template) format() *apikey.Format {
	if t.pepper {
		return pepperedFormat
	}
	return keyFormat
}

// A fixture keeps the populations of a group, and ends what its subjects began.
type fixture struct {
	closer
	atMost      int // keys in a population, whatever a subject asks for; 0 is no limit
	populations map[template]*population
}

func newFixture(atMost int) *fixture {
	return &fixture{atMost: atMost, populations: make(map[template]*population)}
}

func (f *fixture) population(t template) (*population, error) {
	if f.atMost > 0 {
		t.n = min(t.n, f.atMost)
	}
	if p := f.populations[t]; p != nil {
		return p, nil
	}
	p, err := newPopulation(t)
	if err != nil {
		return nil, err
	}
	f.populations[t] = p
	return p, nil
}

// newPopulation issues n keys and shuffles them. They lie one after another in memory in
// the order in which they are presented, so that the processor has each at hand, as it
// has a header that it just parsed; what is far away is the store's entry.
func newPopulation(t template) (*population, error) {
	p := &population{store: memstore.New()}
	issued, err := issue(p.store, t)
	if err != nil {
		return nil, err
	}
	rand.Shuffle(len(issued), func(i, j int) { issued[i], issued[j] = issued[j], issued[i] })
	all := strings.Join(issued, "")
	p.keys = issued
	for i := range p.keys {
		p.keys[i] = all[i*keyLen : (i+1)*keyLen]
	}
	return p, nil
}

// issue adds n keys with a name, a scope and an expiry to a store.
func issue(store *memstore.Store, t template) ([]string, error) {
	issuer, err := apikey.NewIssuer(store, t.format())
	if err != nil {
		return nil, err
	}
	var expires time.Time
	if !t.forever {
		expires = time.Now().Add(24 * time.Hour)
	}
	scopes := []string{"library:read"}
	keys := make([]string, t.n)
	for i := range keys {
		secret, _, err := issuer.Issue(context.Background(), apikey.Key{
			Name: fmt.Sprintf("Backup job %d", i), Scopes: scopes, ExpiresAt: expires,
		})
		if err != nil {
			return nil, err
		}
		if keys[i] = secret.Reveal(); len(keys[i]) != keyLen {
			return nil, fmt.Errorf("a key of %d bytes, want %d", len(keys[i]), keyLen)
		}
	}
	return keys, nil
}

// unknownKey returns a well-formed key that no store has.
func unknownKey(t template) (string, error) {
	t.n = 1
	keys, err := issue(memstore.New(), t)
	if err != nil {
		return "", err
	}
	return keys[0], nil
}

// A rotation presents the keys of a population one after another.
type rotation struct {
	keys []string
	i    int
}

func (r *rotation) next() string {
	if r.i++; r.i >= len(r.keys) {
		r.i = 0
	}
	return r.keys[r.i]
}
