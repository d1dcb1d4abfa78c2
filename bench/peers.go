package main

import "net/http"

// peerGroup is what else one could use, each beside its own router or handler without
// keys. All look for the key in a header, know a thousand, and are asked with the same one
// each time. Their validators read a Go map without a lock, which is less than a store
// from which keys can be revoked must do.
func peerGroup() group {
	we := apikeySubject(ours, setting{}, nil)
	we.bare, we.told = handlerAlone, inRequest
	g := group{
		name: "Peers", title: "Peers",
		note: "Overhead is the time with keys less that of the same router or handler without. " +
			"The goal is to cost less than all that do the same work, and tell the handler who is calling " +
			"in the context of its request; the others are here to be seen.",
		subjects: []subject{theFloor(), barePeer(handlerAlone, http.HandlerFunc(serve)), we},
	}
	g.subjects = append(g.subjects, netHTTPPeers()...)
	g.subjects = append(g.subjects, echo4Peers()...)
	g.subjects = append(g.subjects, echo5Peers()...)
	g.subjects = append(g.subjects, fiberPeers()...)
	return g
}

// plainAccounts is what a validator looks a key up in: the key itself, not a digest.
func (f *fixture) plainAccounts() (accounts map[string]*account, key, wrong string, err error) {
	p, err := f.population(template{n: few})
	if err != nil {
		return nil, "", "", err
	}
	accounts = make(map[string]*account, len(p.keys))
	for _, key := range p.keys {
		accounts[key] = &account{name: "Backup job"}
	}
	wrong, err = unknownKey(template{})
	return accounts, p.keys[0], wrong, err
}

// barePeer is a handler that asks for no key.
func barePeer(name string, h http.Handler) subject {
	return subject{name: name, setup: func(*fixture) (trial, error) {
		e := newExchange(h, newRequest("/library"))
		return trial{once: e.once, rewind: e.rewind, check: accepted(e, nil, nil)}, nil
	}}
}

// headerPeer is a peer that speaks net/http and gets the key in a header. identify is
// whether the handler knows who is calling; nil if it is not told.
func headerPeer(name, bare string, told identity, identify func(*http.Request) bool,
	wrap func(accounts map[string]*account) http.Handler) subject {
	return subject{name: name, bare: bare, told: told, setup: func(f *fixture) (trial, error) {
		accounts, key, wrong, err := f.plainAccounts()
		if err != nil {
			return trial{}, err
		}
		e := newExchange(wrap(accounts), newRequest("/library", "X-API-Key: "+key))
		return trial{
			once: e.once, rewind: e.rewind,
			check: accepted(e, e.with(newRequest("/library", "X-API-Key: "+wrong)), identify),
		}, nil
	}}
}
