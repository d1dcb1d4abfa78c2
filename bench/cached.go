package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/latchkey-dev/apikey"
)

// cachedSubject is everything on, over a cache in front of a store in a database, which
// is its feed too. One hot key in a thousand is asked with, so every request is a hit.
func cachedSubject(e engine) subject {
	setup := func(f *fixture) (trial, error) {
		keys, err := f.population(template{n: few})
		if err != nil {
			return trial{}, err
		}
		d, err := newDatabase(e)
		if err != nil {
			return trial{}, err
		}
		f.later(d.close)
		p, err := d.filled(keys.filling(), 0)
		if err != nil {
			return trial{}, err
		}
		return cachedTrial(p, keys)
	}
	return subject{name: "over a cached sqlstore (" + e.name + ")", setup: setup, goal: &goal{ratio: 1.6, allocs: 2}}
}

func cachedTrial(p *process, keys *population) (trial, error) {
	auth, err := apikey.New(p.cache, apikey.Options{Format: keyFormat})
	if err != nil {
		return trial{}, err
	}
	unknown, err := unknownKey(template{})
	if err != nil {
		return trial{}, err
	}
	var s setting
	e := newExchange(auth.Handler(http.HandlerFunc(serve)), s.request(keys.keys[0]))
	right := accepted(e, e.with(s.request(unknown)), s.identifies)
	return trial{once: e.once, rewind: e.rewind, check: func() error {
		if err := right(); err != nil {
			return err
		}
		return cachedEffects(p, e)
	}}, nil
}

// cachedEffects makes sure that the answer is from memory, and that the last use finds its
// way into the database.
func cachedEffects(p *process, e *exchange) error {
	loads := p.cache.Stats().Loads
	e.once()
	if p.cache.Stats().Loads != loads {
		return errors.New("no hit: the store was asked")
	}
	if e.response.header.Get("Cache-Control") != "private" {
		return errors.New("no Cache-Control in the response")
	}
	key, ok := apikey.FromContext(escaped.Context())
	if !ok {
		return errors.New("no identity")
	}
	if err := p.store.Flush(context.Background()); err != nil {
		return err
	}
	kept, err := p.store.Get(context.Background(), key.ID)
	if err != nil {
		return err
	}
	if kept.LastUsedAt.IsZero() {
		return errors.New("the last use was not kept")
	}
	return nil
}

// storeGroup is the same on each engine.
func storeGroup(engines []engine) group {
	g := group{
		name: "Stores", title: "This package over a cached store in a database",
		note: "Everything on, one hot key in a thousand. The cache polls once a second, and last uses are written once a minute, " +
			"meanwhile as in a service.",
		subjects: []subject{theFloor()},
	}
	for _, e := range engines {
		g.subjects = append(g.subjects, cachedSubject(e))
	}
	return g
}
