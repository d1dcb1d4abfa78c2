package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/testdb"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// poll is the interval at which each cache polls for changes, as by default.
const poll = time.Second

// BenchmarkPropagation measures the time from the return of Revoke in one process to the first refusal by another.
func BenchmarkPropagation(b *testing.B) {
	onEach(b, "by poll", func(b *testing.B, e testdb.Engine) { newPair(b, e).benchmark(b) })
	b.Run("by notification/engine="+testdb.Postgres.Name, func(b *testing.B) {
		p := newPair(b, testdb.Postgres)
		p.listen(b)
		p.benchmark(b)
	})
}

// A pair is two processes with one database. writer revokes keys, and reader has them in its cache.
type pair struct {
	writer, reader *process
	keys           dataset
}

func newPair(b *testing.B, e testdb.Engine) *pair {
	keys := newDataset(10_000)
	writer := openFilled(b, e, keys)
	return &pair{writer, openProcess(b, e, writer.dsn), keys}
}

// accepts returns nil if the process accepts the key.
func (p *process) accepts(ctx context.Context, d apikey.Digest) error {
	key, err := p.cache.Lookup(ctx, d)
	if err != nil {
		return err
	}
	return key.Check(time.Now())
}

// revoke revokes a key in the writer and returns the time until the reader refuses it. A failure of the reader's store
// is an error, not a refusal.
func (p *pair) revoke(ctx context.Context, i int) (time.Duration, error) {
	if err := p.reader.accepts(ctx, p.keys[i]); err != nil {
		return 0, fmt.Errorf("before the revocation: %w", err)
	}
	if _, err := p.writer.store.Revoke(ctx, p.keys.id(i)); err != nil {
		return 0, err
	}
	for begin := time.Now(); ; time.Sleep(100 * time.Microsecond) {
		err := p.reader.accepts(ctx, p.keys[i])
		took := time.Since(begin)
		switch {
		case errors.Is(err, apikey.ErrRevoked):
			return took, nil
		case err != nil:
			return 0, err
		case took > 10*time.Second:
			return 0, errors.New("the reader still accepts the revoked key")
		}
	}
}

// benchmark revokes 20 keys in each iteration, spread over one poll, because a revocation takes effect with the next
// poll. Revocations are at least 20 ms apart, because a cache does not poll more often, even if Wake is called.
func (p *pair) benchmark(b *testing.B) {
	const revoked = 20 // in each iteration
	var all []time.Duration
	for b.Loop() {
		require.LessOrEqual(b, len(all)+revoked, len(p.keys), "too many iterations: no keys left to revoke")
		took, failed := make([]time.Duration, revoked), make([]error, revoked)
		var revocations sync.WaitGroup
		for i := range revoked {
			key := len(all) + i
			revocations.Go(func() {
				time.Sleep(time.Duration(i)*poll/revoked + rand.N(poll/revoked-20*time.Millisecond))
				took[i], failed[i] = p.revoke(b.Context(), key)
			})
		}
		revocations.Wait()
		require.NoError(b, errors.Join(failed...))
		all = append(all, took...)
	}
	reportLatencies(b, 0, all)
}

// listen wakes the reader's cache by LISTEN/NOTIFY until the end of the benchmark.
func (p *pair) listen(b *testing.B) {
	ctx, stop := context.WithCancel(b.Context())
	var listening atomic.Bool // Listen calls wake once at its start
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		sqlstore.Listen(ctx, pgx.Connect, p.reader.dsn, func() {
			listening.Store(true)
			p.reader.cache.Wake()
		})
	}()
	b.Cleanup(func() { stop(); <-ended })
	require.Eventually(b, listening.Load, 5*time.Second, time.Millisecond)
}
