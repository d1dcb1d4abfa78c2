package limit

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"github.com/latchkey-dev/apikey"
)

const (
	shards = 256
	// maxPerShard limits a MemoryBackend to 2,097,152 balances.
	maxPerShard = 8192
	// firstSweep is the number of balances at which a shard first looks for unused ones.
	firstSweep = 64
	// sweepEvery is the time in microseconds between two sweeps of a full shard. Without it, each request
	// that finds no room would look at all balances.
	sweepEvery = 1_000_000
	// clockSlack is the time in microseconds for which a quota is remembered after the end of its day or month. A clock
	// that is set back by less still finds the quota.
	clockSlack = 24 * 3600 * 1_000_000
)

// A MemoryBackend counts in the memory of one process. All counts are lost when the process ends, so a
// restart gives each key a fresh balance.
//
// It remembers one balance for each subject and limit, until the limit has refilled, or until a day after its
// day or month has ended. It has room for about 2 million balances, which take about 300 MB. If all of them are in use, it
// returns [ErrFull] for a new balance and does not forget a used one.
type MemoryBackend struct {
	seed   maphash.Seed
	shards [shards]shard
	now    func() moment
}

// ErrFull means that a MemoryBackend has as many balances in use as it can remember.
var ErrFull = errors.New("limit: too many balances are in use")

type shard struct {
	mu       sync.Mutex
	balances map[balanceKey]*entry
	sweepAt  int      // the number of balances from which to look for unused ones
	sweptAt  int64    // the time of the last look, as moment.micros
	_        [16]byte // so that two shards do not share a cache line
}

// A balanceKey identifies a balance. If a rolling limit becomes a quota, or a quota a rolling limit, it has
// another balance.
type balanceKey struct{ subject, limit, calendar string }

// An entry is a balance and the time from which it equals the zero balance, so that it can be forgotten.
type entry struct {
	balance
	until int64 // as moment.micros
}

// Memory returns an empty MemoryBackend. Give one MemoryBackend to all Limiters of a process that share
// their counts.
func Memory() *MemoryBackend {
	began := time.Now()
	b := &MemoryBackend{seed: maphash.MakeSeed(), now: func() moment {
		now := time.Now()
		return moment{micros: now.Sub(began).Microseconds(), wall: now.UTC()}
	}}
	for i := range b.shards {
		b.shards[i].balances = make(map[balanceKey]*entry)
		b.shards[i].sweepAt = firstSweep
	}
	return b
}

// Take implements [Backend]. It does not block and ignores ctx.
func (b *MemoryBackend) Take(_ context.Context, subject string, limits []apikey.Limit, cost int64) (Result, error) {
	s := &b.shards[maphash.String(b.seed, subject)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	// The clock is read under the lock, so that no decision goes back in time.
	now := b.now()
	result := Result{Permitted: true, Limits: len(limits)}
	var entries [MaxLimits]*entry
	var balances [MaxLimits]balance
	added := 0
	for i := range limits {
		l := &limits[i]
		entries[i] = s.balances[keyOf(subject, l)]
		if entries[i] == nil {
			entries[i] = new(entry)
			added++
		}
		balances[i] = entries[i].refilled(l, now)
		result.States[i].Wait = balances[i].wait(l, now, cost)
		result.Permitted = result.Permitted && result.States[i].Wait == 0
	}
	spend := result.Permitted && cost > 0
	if spend && added > 0 && !s.makeRoom(added, now) {
		return Result{}, ErrFull
	}
	for i := range limits {
		l := &limits[i]
		if spend {
			balances[i].used += cost * unit
		}
		state := balances[i].state(l, now)
		state.Wait = result.States[i].Wait
		result.States[i] = state
		until := now.micros + state.Reset.Microseconds()
		if l.Calendar != "" {
			until += clockSlack
		}
		if spend {
			*entries[i] = entry{balances[i], until}
		} else {
			entries[i].until = max(entries[i].until, until) // because a limit that became slower refills later
		}
		if spend && added > 0 {
			s.balances[keyOf(subject, l)] = entries[i] // a known one too, because makeRoom may have forgotten it
		}
	}
	return result, nil
}

func keyOf(subject string, l *apikey.Limit) balanceKey {
	return balanceKey{subject, l.Name, l.Calendar}
}

// makeRoom reports whether the shard has room for more balances. It forgets unused ones from time to time.
func (s *shard) makeRoom(added int, now moment) bool {
	full := s.sweepAt == maxPerShard
	if len(s.balances)+added > s.sweepAt && (!full || now.micros-s.sweptAt >= sweepEvery) {
		s.sweptAt = now.micros
		for key, e := range s.balances {
			if e.until <= now.micros {
				delete(s.balances, key)
			}
		}
		s.sweepAt = min(max(firstSweep, 2*len(s.balances)), maxPerShard)
	}
	return len(s.balances)+added <= maxPerShard
}
