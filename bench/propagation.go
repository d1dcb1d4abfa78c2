package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey-dev/apikey"
)

// A propagation is how long revocations took to be refused by another process.
type propagation struct {
	engine, by string
	took       []float64 // seconds, from the return of Revoke
}

// A pair is two processes on one database.
type pair struct {
	here, there *process
	keys        filling
}

// between is how often the other process is asked whether it still accepts, and so by how
// much a figure may be too large.
const between = 100 * time.Microsecond

// measurePropagation measures by poll, and by notification where there is such a thing.
func measurePropagation(d *database, s scale) ([]propagation, error) {
	keys := newFilling(max(few, s.polled+s.notified))
	here, err := d.filled(keys, s.poll)
	if err != nil {
		return nil, err
	}
	there, err := d.process(s.poll)
	if err != nil {
		return nil, err
	}
	p := &pair{here, there, keys}
	if err := p.warm(s.polled + s.notified); err != nil {
		return nil, err
	}
	took, err := p.byPoll(s)
	if err != nil {
		return nil, err
	}
	all := []propagation{{d.name, fmt.Sprintf("poll each %v", s.poll), took}}
	if d.listen == nil {
		return all, nil
	}
	if took, err = p.byNotification(d, s); err != nil {
		return nil, err
	}
	return append(all, propagation{d.name, "LISTEN/NOTIFY", took}), nil
}

// warm has both processes keep the first n keys in memory, and makes sure that they do.
func (p *pair) warm(n int) error {
	for _, x := range []*process{p.here, p.there} {
		var loads uint64
		for range 2 {
			loads = x.cache.Stats().Loads
			for i := range n {
				if err := p.ask(x, i); err != nil {
					return fmt.Errorf("before it was revoked: %w", err)
				}
			}
		}
		if x.cache.Stats().Loads != loads {
			return errors.New("keys that are asked for again are not in memory")
		}
	}
	return nil
}

// ask returns nil if a process accepts a key.
func (p *pair) ask(x *process, i int) error {
	key, err := x.cache.Lookup(context.Background(), p.keys[i])
	if err != nil {
		return err
	}
	return key.Check(time.Now())
}

// revoke revokes a key in one process and returns how many seconds later the other
// refuses it. An outage is no refusal.
func (p *pair) revoke(i int) (float64, error) {
	if err := p.ask(p.there, i); err != nil {
		return 0, fmt.Errorf("before it was revoked: %w", err)
	}
	if _, err := p.here.store.Revoke(context.Background(), p.keys.id(i)); err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := p.ask(p.here, i); !errors.Is(err, apikey.ErrRevoked) {
		return 0, fmt.Errorf("the process that revoked says %v", err)
	}
	for {
		err := p.ask(p.there, i)
		took := time.Since(begin)
		switch {
		case errors.Is(err, apikey.ErrRevoked):
			return took.Seconds(), nil
		case err != nil:
			return 0, fmt.Errorf("the other process says %w", err)
		case took > 10*time.Second:
			return 0, errors.New("a revoked key is still accepted by the other process")
		}
		time.Sleep(between)
	}
}

// byPoll revokes keys at random times within some polls, since where between two polls it
// happens is what decides.
func (p *pair) byPoll(s scale) ([]float64, error) {
	took, failed := make([]float64, s.polled), make([]error, s.polled)
	var samples sync.WaitGroup
	for i := range took {
		samples.Go(func() {
			time.Sleep(rand.N(5 * s.poll))
			took[i], failed[i] = p.revoke(i)
		})
	}
	samples.Wait()
	return took, errors.Join(failed...)
}

// byNotification revokes keys one after another, with the other process listening.
func (p *pair) byNotification(d *database, s scale) ([]float64, error) {
	ctx, stop := context.WithCancel(context.Background())
	var woken atomic.Int64
	listening, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- d.listen(ctx, d.dsn, func() {
			if woken.Add(1) == 1 { // wakes once when it has begun
				close(listening)
			}
			p.there.cache.Wake()
		})
	}()
	defer func() { stop(); <-ended }()
	select {
	case <-listening:
	case <-time.After(5 * time.Second):
		return nil, errors.New("cannot listen")
	}
	took := make([]float64, s.notified)
	for i := range took {
		// A cache polls at most 50 times a second, however often it is woken.
		time.Sleep(20*time.Millisecond + rand.N(20*time.Millisecond))
		var err error
		if took[i], err = p.revoke(s.polled + i); err != nil {
			return nil, err
		}
	}
	if n := woken.Load() - 1; n < int64(s.notified) {
		return nil, fmt.Errorf("%d revocations, and %d notifications", s.notified, n)
	}
	return took, nil
}
