package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/latchkey-dev/apikey"
)

// A lookupOnly store hides every optional interface of another.
type lookupOnly struct{ store apikey.KeyStore }

func (s lookupOnly) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	return s.store.Lookup(ctx, d)
}

// observed is what the Observe of a service does at the least: it counts.
var observed uint64

// A setting is one way to use this package.
type setting struct {
	template
	bare    bool // a store that has only Lookup
	observe bool
	query   bool // the key in the query, with a parameter on either side
	server  bool // under the context that net/http's server makes
	random  bool // all keys in random order; otherwise the same one each time
}

func (s setting) auth(p *population) (*apikey.Middleware, error) {
	o := apikey.Options{Format: s.format()}
	if s.observe {
		o.Observe = func(context.Context, apikey.Event) { observed++ }
	}
	var store apikey.KeyStore = p.store
	if s.bare {
		store = lookupOnly{store}
	}
	return apikey.New(store, o)
}

func (s setting) request(key string) *http.Request {
	if s.query {
		return newRequest("/library?limit=50&api_key=" + key + "&sort=name")
	}
	return newRequest("/library", "X-API-Key: "+key)
}

func (s setting) setup(f *fixture) (trial, error) {
	p, err := f.population(s.template)
	if err != nil {
		return trial{}, err
	}
	auth, err := s.auth(p)
	if err != nil {
		return trial{}, err
	}
	unknown, err := unknownKey(s.template)
	if err != nil {
		return trial{}, err
	}
	e := newExchange(auth.Handler(http.HandlerFunc(serve)), s.request(p.keys[0]))
	if s.server {
		// Never cancelled, as it is not while a request is served.
		e.request, _ = served(e.request)
	}
	right := accepted(e, e.with(s.request(unknown)), s.identifies)
	t := trial{once: e.once, rewind: e.rewind, check: func() error {
		if err := right(); err != nil {
			return err
		}
		e.once()
		return s.effects(p, e)
	}}
	if s.random {
		keys, value := rotation{keys: p.keys}, e.request.Header["X-Api-Key"]
		t.once = func() {
			value[0] = keys.next()
			e.once()
		}
	}
	return t, nil
}

// identifies makes sure that the handler sees the identity, and no key in the URL.
func (s setting) identifies(r *http.Request) bool {
	key, ok := apikey.FromContext(r.Context())
	return ok && key.Name != "" && key.ExpiresAt.IsZero() == s.forever &&
		(!s.query || r.URL.RawQuery == "limit=50&sort=name" && r.RequestURI == "/library?limit=50&sort=name")
}

// effects makes sure that what is on is on, and what is off is off.
func (s setting) effects(p *population, e *exchange) error {
	if e.response.header.Get("Cache-Control") != "private" {
		return errors.New("no Cache-Control in the response")
	}
	if s.query && e.response.header.Get("Referrer-Policy") == "" {
		return errors.New("no Referrer-Policy in the response")
	}
	if s.observe && observed == 0 {
		return errors.New("nothing was observed")
	}
	key, ok := apikey.FromContext(escaped.Context())
	if !ok {
		return errors.New("no identity")
	}
	kept, err := p.store.Get(context.Background(), key.ID)
	if err != nil {
		return err
	}
	if kept.LastUsedAt.IsZero() != s.bare {
		return errors.New("the last use: kept although Touch is hidden, or not kept")
	}
	return nil
}

func apikeySubject(name string, s setting, g *goal) subject {
	if s.n == 0 {
		s.n = few
	}
	return subject{name: name, setup: s.setup, goal: g}
}

// apikeyGroup is this package over memstore, one hot key in a thousand, and once over a
// cached database.
func apikeyGroup() group {
	return group{
		name: "APIKey", title: "This package, over memstore unless a row says otherwise",
		note: "Cache-Control is always set, so bare is: no Touch, no expiry. As in net/http's server is " +
			"everything on, under the four contexts in which that server wraps each request.",
		subjects: []subject{
			theFloor(),
			floorSubject("floor, by context.WithValue", few, byValue, false),
			apikeySubject("bare", setting{template: template{forever: true}, bare: true}, nil),
			apikeySubject("everything on", setting{}, &goal{ratio: 1.4, allocs: 2, bytes: 368}),
			cachedSubject(engines[0]),
			apikeySubject("as in net/http's server", setting{server: true}, nil),
			apikeySubject("and Observe", setting{observe: true}, nil),
			apikeySubject("key in the query", setting{query: true}, &goal{ratio: 2.4, allocs: 3}),
			apikeySubject("one pepper", setting{template: template{pepper: true}}, &goal{ratio: 1.6, allocs: 2, bytes: 368}),
		},
	}
}

// sizeGroup is one number of keys. Who presents the same key again and again must not
// notice how many there are; who presents all of them waits for memory.
func sizeGroup(name, title string, n int) group {
	hot, random := "floor, one hot key", "floor, keys in random order"
	everything := apikeySubject("everything on, one hot key", setting{template: template{n: n}}, &goal{ratio: 1.4, allocs: 2, bytes: 368})
	all := apikeySubject("everything on, keys in random order", setting{template: template{n: n}, random: true}, nil)
	all.floor = random
	return group{
		name: name, title: title, keys: n,
		note: "Each is a multiple of the floor with as many keys in a Go map, presented in the same way.",
		subjects: []subject{
			floorSubject(hot, n, byNode, false),
			everything,
			floorSubject(random, n, byNode, true),
			all,
		},
	}
}
