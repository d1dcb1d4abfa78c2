package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/latchkey-dev/apikey"
)

// A refusal is a request that must be refused, and why.
type refusal struct {
	name   string
	pepper bool
	spoil  func(key string) string // makes the wrong key out of a right one; "" is no key
	want   error
	goal   *goal
}

// cheap: no allocation before the response is written, and less than half the floor.
var cheap = &goal{ratio: 0.5, allocs: 0}

var refusals = []refusal{
	{"missing key", false, func(string) string { return "" }, apikey.ErrMissing, cheap},
	{"a character that no key has", false, func(k string) string { return k[:20] + "-" + k[21:] }, apikey.ErrMalformed, cheap},
	{"wrong check characters", false, miscounted, apikey.ErrMalformed, cheap},
	{"wrong check characters, one pepper", true, miscounted, apikey.ErrMalformed, nil},
	{"unknown key", false, func(k string) string { return k }, apikey.ErrNotFound, nil},
}

// miscounted changes the last character of a key.
func miscounted(key string) string {
	last := byte('0')
	if key[len(key)-1] == last {
		last = '1'
	}
	return key[:len(key)-1] + string(last)
}

// exchange returns a middleware and an exchange with it that it must refuse.
func (x refusal) exchange(f *fixture) (*apikey.Middleware, *exchange, error) {
	s := setting{template: template{n: few, pepper: x.pepper}}
	p, err := f.population(s.template)
	if err != nil {
		return nil, nil, err
	}
	auth, err := s.auth(p)
	if err != nil {
		return nil, nil, err
	}
	key, err := unknownKey(s.template)
	if err != nil {
		return nil, nil, err
	}
	r := newRequest("/library")
	if wrong := x.spoil(key); wrong != "" {
		r = s.request(wrong)
	}
	return auth, newExchange(auth.Handler(http.HandlerFunc(serve)), r), nil
}

// decided keeps the outcome of a decision.
var decided error

// decision is what happens before the response is written.
func (x refusal) decision() subject {
	return subject{name: x.name + ", decision", goal: x.goal, setup: func(f *fixture) (trial, error) {
		auth, e, err := x.exchange(f)
		if err != nil {
			return trial{}, err
		}
		once := func() { _, decided = auth.Authenticate(&e.response, e.request) }
		return trial{once: once, check: func() error {
			decided = nil
			if once(); !errors.Is(decided, x.want) {
				return fmt.Errorf("decided %v, want %v", decided, x.want)
			}
			if status := apikey.StatusCode(decided); status != http.StatusUnauthorized {
				return fmt.Errorf("status %d", status)
			}
			return nil
		}}, nil
	}}
}

// whole is the decision and the response.
func (x refusal) whole() subject {
	return subject{name: x.name + ", with response", setup: func(f *fixture) (trial, error) {
		_, e, err := x.exchange(f)
		if err != nil {
			return trial{}, err
		}
		return trial{once: e.once, rewind: e.rewind, check: func() error {
			escaped = nil
			if err := e.status(http.StatusUnauthorized); err != nil {
				return err
			}
			if escaped != nil {
				return errors.New("the handler was reached")
			}
			return nil
		}}, nil
	}}
}

// refusalGroup is what this package refuses.
func refusalGroup() group {
	g := group{
		name: "Refusals", title: "Refusals",
		note:     "The decision is Authenticate; the response is that of Refuse, after it.",
		subjects: []subject{theFloor()},
	}
	for _, x := range refusals {
		g.subjects = append(g.subjects, x.decision())
	}
	for _, x := range refusals {
		g.subjects = append(g.subjects, x.whole())
	}
	return g
}
