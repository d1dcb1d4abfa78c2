package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"github.com/latchkey-dev/apikey"
)

// Names of subjects that others are compared with.
const (
	floorName    = "floor"
	handlerAlone = "net/http handler alone"
	ours         = "apikey, everything on"
)

// An account is what the floor and the peers' validators know about a key.
type account struct{ name string }

// digests maps the digests of a population to accounts.
func (p *population) digests() map[apikey.Digest]*account {
	if p.accounts == nil {
		p.accounts = make(map[apikey.Digest]*account, len(p.keys))
		for _, key := range p.keys {
			p.accounts[sha256.Sum256([]byte(key))] = &account{name: "Backup job"}
		}
	}
	return p.accounts
}

// A floor does what no such middleware can do without, and nothing else: it digests the
// key, finds the digest in a map, reads the clock, and hands the identity on in the
// request. It does not even look for the key: that is given.
type floor struct {
	key      string
	accounts map[apikey.Digest]*account
	attach   func(context.Context, *account) context.Context
	next     http.Handler
}

// clock keeps the floor's reading of the clock from being optimised away.
var clock time.Time

func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var buf [64]byte // on the stack: []byte(key) would be an allocation
	a := f.accounts[sha256.Sum256(buf[:copy(buf[:], f.key)])]
	if a == nil {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	clock = time.Now()
	f.next.ServeHTTP(w, r.WithContext(f.attach(r.Context(), a)))
}

type accountKey struct{}

// An accountNode is a context made for its one value. It is what the floor uses: it is
// cheaper than context.WithValue, which asks at run time whether its key can be
// compared, and is as good.
type accountNode struct {
	context.Context
	account *account
}

func (c *accountNode) Value(key any) any {
	if key == (accountKey{}) {
		return c.account
	}
	return c.Context.Value(key)
}

func byNode(ctx context.Context, a *account) context.Context { return &accountNode{ctx, a} }

func byValue(ctx context.Context, a *account) context.Context {
	return context.WithValue(ctx, accountKey{}, a)
}

// hasAccount reports whether a handler finds the account.
func hasAccount(r *http.Request) bool {
	a, _ := r.Context().Value(accountKey{}).(*account)
	return a != nil
}

func floorSubject(name string, n int, attach func(context.Context, *account) context.Context, random bool) subject {
	return subject{name: name, setup: func(f *fixture) (trial, error) {
		p, err := f.population(template{n: n})
		if err != nil {
			return trial{}, err
		}
		h := &floor{key: p.keys[0], accounts: p.digests(), attach: attach, next: http.HandlerFunc(serve)}
		e := newExchange(h, newRequest("/library"))
		unknown, err := unknownKey(template{})
		if err != nil {
			return trial{}, err
		}
		wrong := *h
		wrong.key = unknown
		right := accepted(e, newExchange(&wrong, e.request), hasAccount)
		t := trial{once: e.once, rewind: e.rewind, check: func() error {
			if clock = (time.Time{}); right() != nil || clock.IsZero() {
				return errors.New("something is missing from the floor")
			}
			return nil
		}}
		if random {
			keys := rotation{keys: p.keys}
			t.once = func() {
				h.key = keys.next()
				e.once()
			}
		}
		return t, nil
	}}
}

// theFloor is the first subject of most groups.
func theFloor() subject { return floorSubject(floorName, few, byNode, false) }
