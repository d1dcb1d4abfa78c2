package memstore

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// digestOf returns the digest of the key with this ID.
func digestOf(id string) apikey.Digest { return sha256.Sum256([]byte(id)) }

func add(t testing.TB, s *Store, key apikey.Key) {
	t.Helper()
	if key.Name == "" {
		key.Name = "Backup job"
	}
	require.NoError(t, s.Create(context.Background(), digestOf(key.ID), key))
}

// advance moves the clock of a synctest bubble.
func advance(d time.Duration) { <-time.After(d) }

// idsByStatus returns the IDs that List selects for each Status.
func idsByStatus(t *testing.T, s *Store) map[apikey.Status][]string {
	t.Helper()
	found := make(map[apikey.Status][]string)
	for _, status := range []apikey.Status{apikey.StatusActive, apikey.StatusExpired, apikey.StatusRevoked} {
		page, err := s.List(t.Context(), apikey.ListOptions{Status: status})
		require.NoError(t, err)
		for _, key := range page.Keys {
			found[status] = append(found[status], key.ID)
		}
	}
	return found
}

func TestListExpiresAKeyAtExpiresAt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		add(t, s, apikey.Key{ID: "a", ExpiresAt: time.Now().Add(time.Hour)})
		advance(time.Hour - time.Nanosecond)
		assert.Equal(t, map[apikey.Status][]string{apikey.StatusActive: {"a"}}, idsByStatus(t, s))
		advance(time.Nanosecond)
		assert.Equal(t, map[apikey.Status][]string{apikey.StatusExpired: {"a"}}, idsByStatus(t, s))

		// Lookup returns it all the same, because Check decides.
		key, err := s.Lookup(t.Context(), digestOf("a"))
		require.NoError(t, err)
		assert.ErrorIs(t, key.Check(time.Now()), apikey.ErrExpired)

		later := time.Now().Add(time.Hour)
		_, err = s.Update(t.Context(), "a", apikey.Patch{ExpiresAt: &later})
		require.NoError(t, err)
		assert.Equal(t, map[apikey.Status][]string{apikey.StatusActive: {"a"}}, idsByStatus(t, s), "after an update of ExpiresAt")
	})
}

func TestRevokeSetsRevokedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		add(t, s, apikey.Key{ID: "a", ExpiresAt: time.Now().Add(2 * time.Hour)})
		advance(time.Hour + 1500*time.Nanosecond)
		first := time.Now().UTC().Truncate(time.Microsecond)
		key, err := s.Revoke(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, first, key.RevokedAt)

		advance(2 * time.Hour) // past ExpiresAt too
		key, err = s.Revoke(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, first, key.RevokedAt, "revoked again")
		never := time.Time{}
		key, err = s.Update(t.Context(), "a", apikey.Patch{ExpiresAt: &never})
		require.NoError(t, err)
		assert.Equal(t, first, key.RevokedAt, "after an update")
		assert.Equal(t, map[apikey.Status][]string{apikey.StatusRevoked: {"a"}}, idsByStatus(t, s))
	})
}

func TestReplaceRefusesAKeyFromExpiresAtOn(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		at   time.Duration // after ExpiresAt
		want error
	}{
		{"a nanosecond before", -time.Nanosecond, nil},
		{"at ExpiresAt", 0, apikey.ErrExpired},
		{"later", time.Hour, apikey.ErrExpired},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := New()
				add(t, s, apikey.Key{ID: "old", ExpiresAt: time.Now().Add(24 * time.Hour)})
				advance(24*time.Hour + test.at)
				before := s.head()
				_, err := s.Replace(t.Context(), "old", time.Now().Add(time.Minute), digestOf("new"), apikey.Key{ID: "new"})
				if test.want == nil {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, test.want)
				assert.Equal(t, before, s.head(), "the refused Replace wrote something")
				_, err = s.Lookup(t.Context(), digestOf("new"))
				assert.ErrorIs(t, err, apikey.ErrNotFound)
			})
		})
	}
}

func TestReplacedKeyExpiresAfterItsGracePeriod(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		add(t, s, apikey.Key{ID: "old"})
		_, err := s.Replace(t.Context(), "old", time.Now().Add(time.Hour), digestOf("new"), apikey.Key{ID: "new"})
		require.NoError(t, err)
		advance(time.Hour - time.Nanosecond)
		assert.Equal(t, map[apikey.Status][]string{apikey.StatusActive: {"new", "old"}}, idsByStatus(t, s))
		advance(time.Nanosecond)
		assert.Equal(t, map[apikey.Status][]string{apikey.StatusActive: {"new"}, apikey.StatusExpired: {"old"}}, idsByStatus(t, s))
	})
}

func TestTouchKeepsTheLatestSecond(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := New()
	add(t, s, apikey.Key{ID: "a"})
	for _, step := range []struct {
		name     string
		at, want time.Time
	}{
		{"first use", start.Add(300 * time.Millisecond), start},
		{"same second", start.Add(999_999_999), start},
		{"next second", start.Add(time.Second), start.Add(time.Second)},
		{"earlier time", start.Add(-time.Hour), start.Add(time.Second)},
		{"zero time", time.Time{}, start.Add(time.Second)},
		{"other time zone", start.Add(time.Minute).In(time.FixedZone("", 3600)), start.Add(time.Minute)},
	} {
		s.Touch(digestOf("a"), apikey.Use{At: step.at})
		key, err := s.Get(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, step.want, key.LastUsedAt, step.name)
	}
	// Touch must not modify the key that requests share.
	shared, err := s.Lookup(t.Context(), digestOf("a"))
	require.NoError(t, err)
	assert.Zero(t, shared.LastUsedAt)
}

// A last use by a clock that was ahead would otherwise hide all later uses.
func TestTouchReplacesAUseInTheFuture(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, now := New(), time.Now().UTC()
		ahead := apikey.Use{At: now.AddDate(1, 0, 0), Addr: netip.MustParseAddr("192.0.2.1")}
		soon := apikey.Use{At: now.Add(time.Hour), Addr: ahead.Addr}
		use := apikey.Use{At: now, Addr: netip.MustParseAddr("192.0.2.2")}
		for id, test := range map[string]struct{ before, want apikey.Use }{"ahead": {ahead, use}, "soon": {soon, soon}} {
			add(t, s, apikey.Key{ID: id})
			s.Touch(digestOf(id), test.before)
			s.Touch(digestOf(id), use)
			key, err := s.Get(t.Context(), id)
			require.NoError(t, err)
			assert.Equal(t, test.want, apikey.Use{At: key.LastUsedAt, Addr: key.LastUsedAddr}, id)
		}
	})
}

func TestTouchBefore1970IsIgnored(t *testing.T) {
	t.Parallel()
	s := New()
	add(t, s, apikey.Key{ID: "a"})
	s.Touch(digestOf("a"), apikey.Use{At: time.Time{}})
	s.Touch(digestOf("a"), apikey.Use{At: time.Unix(-5, 0)})
	key, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	assert.Zero(t, key.LastUsedAt)
}

// The writer holds the lock while a subscriber runs. A lookup that took the lock would block this
// test forever.
func TestLookupDoesNotWaitForWriters(t *testing.T) {
	t.Parallel()
	s := New()
	add(t, s, apikey.Key{ID: "a"})
	var announced apikey.Version
	entered, release, returned := make(chan struct{}), make(chan struct{}), make(chan error)
	s.Subscribe(func(_ apikey.Digest, at apikey.Version) {
		announced = at
		close(entered)
		<-release
	})
	go func() {
		_, err := s.Revoke(context.Background(), "a")
		returned <- err
	}()
	<-entered
	require.False(t, s.mu.TryRLock(), "the writer holds no lock, so this test proves nothing")

	key, err := s.Lookup(t.Context(), digestOf("a"))
	require.NoError(t, err)
	assert.NotZero(t, key.RevokedAt, "the subscriber was called before the change was made")
	_, at, err := s.LookupAt(t.Context(), digestOf("a"))
	require.NoError(t, err)
	assert.Equal(t, announced, at)
	_, at, err = s.LookupAt(t.Context(), digestOf("b"))
	require.ErrorIs(t, err, apikey.ErrNotFound)
	assert.Equal(t, announced, at)
	s.Touch(digestOf("a"), apikey.Use{At: time.Unix(1, 0)})

	select {
	case <-returned:
		t.Error("Revoke returned before its subscriber")
	default:
	}
	close(release)
	require.NoError(t, <-returned)
}

// synctest fails the test if a goroutine still runs at its end.
func TestStoreStartsNoGoroutine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		cancel := s.Subscribe(func(apikey.Digest, apikey.Version) {})
		add(t, s, apikey.Key{ID: "a"})
		s.Touch(digestOf("a"), apikey.Use{At: time.Now()})
		_, err := s.List(t.Context(), apikey.ListOptions{})
		require.NoError(t, err)
		_, err = s.Changes(t.Context(), apikey.Version{})
		require.NoError(t, err)
		_, err = s.Revoke(t.Context(), "a")
		require.NoError(t, err)
		cancel()
	})
}

func TestEveryStoreHasItsOwnEpoch(t *testing.T) {
	t.Parallel()
	seen := make(map[uint64]bool)
	for range 100 {
		s := New()
		assert.NotEqual(t, apikey.Version{}, s.head(), "the head of an empty store is the zero Version")
		seen[s.epoch] = true
	}
	assert.Len(t, seen, 100)
}

func TestRequestDoesNotAllocate(t *testing.T) {
	s := New()
	add(t, s, apikey.Key{ID: "a", Scopes: []string{"library:read"}})
	ctx, known, unknown, now := t.Context(), digestOf("a"), digestOf("b"), time.Unix(1, 0)
	addr := netip.MustParseAddr("2001:db8::7")
	for name, f := range map[string]func(){
		"Lookup":                      func() { sink, _ = s.Lookup(ctx, known) },
		"Lookup of an unknown digest": func() { sink, _ = s.Lookup(ctx, unknown) },
		"LookupAt":                    func() { sink, _, _ = s.LookupAt(ctx, known) },
		"Touch":                       func() { now = now.Add(time.Second); s.Touch(known, apikey.Use{At: now}) },
		"Touch with an address":       func() { now = now.Add(time.Second); s.Touch(known, apikey.Use{At: now, Addr: addr}) },
		"Touch of an unknown digest":  func() { s.Touch(unknown, apikey.Use{At: now}) },
	} {
		assert.Zero(t, testing.AllocsPerRun(1000, f), name)
	}
}

var sink *apikey.Key
