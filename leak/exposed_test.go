package leak_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestTheResponseDoesNotWaitForTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t)
		token, key := g.issue("x")
		g.store.failLookup = func() error { time.Sleep(time.Second); return nil }
		began := time.Now()
		for range 2000 {
			g.send(client, "/?key="+token)
		}
		assert.Zero(t, time.Since(began), "even when the queue is full")
		require.NoError(t, g.Close(t.Context()))
		assert.True(t, g.isRevoked(key.ID))
		assert.Contains(t, g.log.String(), "were not checked, because there are too many")
	})
}

func TestAGuesserCausesFiftyLookupsASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t)
		other := newService(t, apikey.FormatOptions{})
		for range 1000 {
			guess, _ := other.issue("x")
			g.send(client, "/?key="+guess)
			g.send(client, "/?key=malformed")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		assert.InDelta(t, 50, g.store.lookups.Load(), 2)
		require.NoError(t, g.Close(t.Context()))
		assert.NotContains(t, g.log.String(), "key revoked")
	})
}

func TestAFailedLookupIsRepeated(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fail    func() error
		recover bool
	}{
		"an outage":     {func() error { return errDown }, true},
		"a panic":       {func() error { panic("store") }, true},
		"a long outage": {func() error { return errDown }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newGuarded(t)
				token, key := g.issue("x")
				attempts := 0
				g.store.failLookup = func() error {
					if attempts++; test.recover && attempts == 6 {
						return nil
					}
					return test.fail()
				}
				g.send(client, "/?key="+token)
				time.Sleep(32 * time.Second)
				synctest.Wait()
				assert.Equal(t, 6, attempts)
				assert.Equal(t, test.recover, g.isRevoked(key.ID))
				assert.Equal(t, !test.recover, strings.Contains(g.log.String(), "was not checked"))
				require.NoError(t, g.Close(t.Context()))
			})
		})
	}
}

func TestCloseDrainsTheQueueAndEndsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t)
		var ids []string
		for range 100 {
			token, key := g.issue("x")
			g.send(client, "/?key="+token)
			ids = append(ids, key.ID)
		}
		began := time.Now()
		require.NoError(t, g.Close(t.Context()))
		require.NoError(t, g.Close(t.Context()), "a second time")
		assert.Less(t, time.Since(began), 100*time.Millisecond, "without the pauses between lookups")
		for _, id := range ids {
			assert.True(t, g.isRevoked(id))
		}
		token, key := g.issue("later")
		assert.Equal(t, 403, g.send(client, "/?key="+token).Code)
		synctest.Wait()
		assert.False(t, g.isRevoked(key.ID))
	})
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t)
		token, _ := g.issue("x")
		g.store.beforeWrite = func() { time.Sleep(3 * time.Second) }
		g.send(client, "/?key="+token)
		other, key := g.issue("y")
		g.send(client, "/?key="+other)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, g.Close(ctx), context.DeadlineExceeded)
		assert.False(t, g.isRevoked(key.ID))
	})
}
