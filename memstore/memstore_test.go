package memstore

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// digestOf is the digest of the key with this ID.
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

// idsByStatus is what List has under each status.
func idsByStatus(t *testing.T, s *Store) map[string][]string {
	t.Helper()
	found := make(map[string][]string)
	for _, status := range []string{apikey.StatusActive, apikey.StatusExpired, apikey.StatusRevoked} {
		page, err := s.List(t.Context(), apikey.ListOptions{Status: status})
		require.NoError(t, err)
		for _, key := range page.Keys {
			found[status] = append(found[status], key.ID)
		}
	}
	return found
}

func TestAKeyIsExpiredFromExpiresAtOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		add(t, s, apikey.Key{ID: "a", ExpiresAt: time.Now().Add(time.Hour)})
		advance(time.Hour - time.Nanosecond)
		assert.Equal(t, map[string][]string{apikey.StatusActive: {"a"}}, idsByStatus(t, s))
		advance(time.Nanosecond)
		assert.Equal(t, map[string][]string{apikey.StatusExpired: {"a"}}, idsByStatus(t, s))

		// Whether it may be used is for others to judge.
		key, err := s.Lookup(t.Context(), digestOf("a"))
		require.NoError(t, err)
		assert.ErrorIs(t, key.Check(time.Now()), apikey.ErrExpired)

		later := time.Now().Add(time.Hour)
		_, err = s.Update(t.Context(), "a", apikey.Patch{ExpiresAt: &later})
		require.NoError(t, err)
		assert.Equal(t, map[string][]string{apikey.StatusActive: {"a"}}, idsByStatus(t, s), "after it was prolonged")
	})
}

func TestRevokedAtIsNowAndStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		add(t, s, apikey.Key{ID: "a", ExpiresAt: time.Now().Add(2 * time.Hour)})
		advance(time.Hour + 1500*time.Nanosecond)
		first := time.Now().UTC().Truncate(time.Microsecond)
		key, err := s.Revoke(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, first, key.RevokedAt)

		advance(2 * time.Hour) // beyond its end, too
		key, err = s.Revoke(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, first, key.RevokedAt, "revoked again")
		never := time.Time{}
		key, err = s.Update(t.Context(), "a", apikey.Patch{ExpiresAt: &never})
		require.NoError(t, err)
		assert.Equal(t, first, key.RevokedAt, "after an update")
		assert.Equal(t, map[string][]string{apikey.StatusRevoked: {"a"}}, idsByStatus(t, s))
	})
}

func TestAnExpiredKeyIsNotReplacedFromTheInstantOn(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		at   time.Duration // from the expiry on
		want error
	}{
		{"a nanosecond before", -time.Nanosecond, nil},
		{"at the instant", 0, apikey.ErrExpired},
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
				assert.Equal(t, before, s.head(), "something was written")
				_, err = s.Lookup(t.Context(), digestOf("new"))
				assert.ErrorIs(t, err, apikey.ErrNotFound)
			})
		})
	}
}

func TestAReplacedKeyEndsWithItsGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		add(t, s, apikey.Key{ID: "old"})
		_, err := s.Replace(t.Context(), "old", time.Now().Add(time.Hour), digestOf("new"), apikey.Key{ID: "new"})
		require.NoError(t, err)
		advance(time.Hour - time.Nanosecond)
		assert.Equal(t, map[string][]string{apikey.StatusActive: {"new", "old"}}, idsByStatus(t, s))
		advance(time.Nanosecond)
		assert.Equal(t, map[string][]string{apikey.StatusActive: {"new"}, apikey.StatusExpired: {"old"}}, idsByStatus(t, s))
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
		{"the first use", start.Add(300 * time.Millisecond), start},
		{"later in that second", start.Add(999_999_999), start},
		{"the next second", start.Add(time.Second), start.Add(time.Second)},
		{"a clock that went back", start.Add(-time.Hour), start.Add(time.Second)},
		{"the zero time", time.Time{}, start.Add(time.Second)},
		{"another zone", start.Add(time.Minute).In(time.FixedZone("", 3600)), start.Add(time.Minute)},
	} {
		s.Touch(digestOf("a"), step.at)
		key, err := s.Get(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, step.want, key.LastUsedAt, step.name)
	}
	// The key that requests share is not written to.
	shared, err := s.Lookup(t.Context(), digestOf("a"))
	require.NoError(t, err)
	assert.Zero(t, shared.LastUsedAt)
}

func TestAKeyThatWasTouchedBeforeTimeBeganIsUnused(t *testing.T) {
	t.Parallel()
	s := New()
	add(t, s, apikey.Key{ID: "a"})
	s.Touch(digestOf("a"), time.Time{})
	s.Touch(digestOf("a"), time.Unix(-5, 0))
	key, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	assert.Zero(t, key.LastUsedAt)
}

// While a subscriber is told of a write, the writer holds the lock. If a lookup took it,
// this test would never end.
func TestLookupsWaitForNobody(t *testing.T) {
	t.Parallel()
	s := New()
	add(t, s, apikey.Key{ID: "a"})
	var told apikey.Cursor
	entered, release, returned := make(chan struct{}), make(chan struct{}), make(chan error)
	s.Subscribe(func(_ apikey.Digest, at apikey.Cursor) {
		told = at
		close(entered)
		<-release
	})
	go func() {
		_, err := s.Revoke(context.Background(), "a")
		returned <- err
	}()
	<-entered
	require.False(t, s.mu.TryRLock(), "no lock is held, so this test shows nothing")

	key, err := s.Lookup(t.Context(), digestOf("a"))
	require.NoError(t, err)
	assert.NotZero(t, key.RevokedAt, "subscribers are told before the change is made")
	_, at, err := s.LookupAt(t.Context(), digestOf("a"))
	require.NoError(t, err)
	assert.Equal(t, told, at)
	_, at, err = s.LookupAt(t.Context(), digestOf("b"))
	require.ErrorIs(t, err, apikey.ErrNotFound)
	assert.Equal(t, told, at)
	s.Touch(digestOf("a"), time.Unix(1, 0))

	select {
	case <-returned:
		t.Error("Revoke returned before its subscriber")
	default:
	}
	close(release)
	require.NoError(t, <-returned)
}

// A goroutine that outlived the bubble would be a deadlock, and end the test.
func TestAStoreStartsNoGoroutine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New()
		cancel := s.Subscribe(func(apikey.Digest, apikey.Cursor) {})
		add(t, s, apikey.Key{ID: "a"})
		s.Touch(digestOf("a"), time.Now())
		_, err := s.List(t.Context(), apikey.ListOptions{})
		require.NoError(t, err)
		_, err = s.Changes(t.Context(), apikey.Cursor{})
		require.NoError(t, err)
		_, err = s.Revoke(t.Context(), "a")
		require.NoError(t, err)
		cancel()
	})
}

func TestEveryStoreHasAnEpochOfItsOwn(t *testing.T) {
	t.Parallel()
	seen := make(map[uint64]bool)
	for range 100 {
		s := New()
		assert.NotEqual(t, apikey.Cursor{}, s.head(), "the head of an empty store is not the zero Cursor")
		seen[s.epoch] = true
	}
	assert.Len(t, seen, 100)
}

func TestARequestAllocatesNothing(t *testing.T) {
	s := New()
	add(t, s, apikey.Key{ID: "a", Scopes: []string{"library:read"}})
	ctx, known, unknown, now := t.Context(), digestOf("a"), digestOf("b"), time.Unix(1, 0)
	for name, f := range map[string]func(){
		"Lookup":                      func() { sink, _ = s.Lookup(ctx, known) },
		"Lookup of an unknown digest": func() { sink, _ = s.Lookup(ctx, unknown) },
		"LookupAt":                    func() { sink, _, _ = s.LookupAt(ctx, known) },
		"Touch":                       func() { now = now.Add(time.Second); s.Touch(known, now) },
		"Touch of an unknown digest":  func() { s.Touch(unknown, now) },
	} {
		assert.Zero(t, testing.AllocsPerRun(1000, f), name)
	}
}

var sink *apikey.Key

// fill puts keys as services have them into a Store. It returns their digests, shuffled,
// and how many bytes each takes, its strings and its places in the indexes included.
func fill(t testing.TB, n int) (*Store, []apikey.Digest, float64) {
	t.Helper()
	digests := make([]apikey.Digest, n)
	for i := range digests {
		digests[i] = digestOf(fmt.Sprintf("%016d", i))
	}
	now := time.Now()
	before := heap()
	s := New()
	for i, d := range digests {
		err := s.Create(context.Background(), d, apikey.Key{
			ID: fmt.Sprintf("%016d", i), Name: fmt.Sprintf("backup job %d", i), Hint: fmt.Sprintf("ak_\u2026%04d", i%10_000),
			Owner: "operations", Scopes: []string{"library:read"}, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	size := float64(heap()-before) / float64(n)
	runtime.KeepAlive(s)
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(n, func(i, j int) { digests[i], digests[j] = digests[j], digests[i] })
	return s, digests, size
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one found in pools
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// maxBytes is 1.3 times what was measured.
const maxBytes = 545

// Not parallel: other tests would be measured too.
func TestAHundredThousandKeys(t *testing.T) {
	n := 100_000
	if raceDetector {
		n = 10_000
	}
	s, digests, size := fill(t, n)
	t.Run("take little memory", func(t *testing.T) {
		t.Logf("%.0f bytes a key", size)
		if size > maxBytes {
			t.Errorf("a key takes %.0f bytes; want %d at most", size, maxBytes)
		}
		if size < 200 {
			t.Errorf("a key takes %.0f bytes, less than it has: something else was freed meanwhile", size)
		}
	})
	t.Run("are on the pages of a list once each", func(t *testing.T) {
		got := walk(t, s, apikey.ListOptions{Limit: 500})
		require.Len(t, got, n)
		for i, id := range got {
			if want := fmt.Sprintf("%016d", n-1-i); id != want {
				t.Fatalf("number %d of the newest is %s, not %s", i, id, want)
			}
		}
	})
	t.Run("are found by digest and by ID", func(t *testing.T) {
		for _, d := range digests {
			key, err := s.Lookup(t.Context(), d)
			if err != nil || digestOf(key.ID) != d {
				t.Fatalf("got %v, %v", key, err)
			}
			if same, err := s.Get(t.Context(), key.ID); err != nil || same.Name != key.Name {
				t.Fatalf("Get has %v, %v; Lookup %v", same, err, key)
			}
		}
	})
}

// BenchmarkMemory tells what a key takes of a million, and what finding it costs then.
func BenchmarkMemory(b *testing.B) {
	const n = 1_000_000
	s, digests, size := fill(b, n)
	ctx := b.Context()
	for i := 0; b.Loop(); i++ {
		s.Lookup(ctx, digests[i%n])
	}
	b.ReportMetric(size, "B/key")
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		s, digests, _ := fill(b, n)
		ctx := b.Context()
		b.Run(fmt.Sprintf("%d/random", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				s.Lookup(ctx, digests[i%n])
			}
		})
		b.Run(fmt.Sprintf("%d/hot", n), func(b *testing.B) {
			for b.Loop() {
				s.Lookup(ctx, digests[0])
			}
		})
		// With -cpu 1,2: readers that do not contend take half the time on two cores.
		b.Run(fmt.Sprintf("%d/parallel hot", n), func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					s.Lookup(ctx, digests[0])
				}
			})
		})
	}
}

// As of many requests of one client within a second.
func BenchmarkTouch(b *testing.B) {
	s, digests, _ := fill(b, 1)
	now := time.Now()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.Touch(digests[0], now)
		}
	})
}

func BenchmarkList(b *testing.B) {
	s, _, _ := fill(b, 100_000)
	for _, sort := range []string{apikey.SortNewest, apikey.SortName, apikey.SortExpires} {
		b.Run(sort, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.List(b.Context(), apikey.ListOptions{Sort: sort}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("search without a hit", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.List(b.Context(), apikey.ListOptions{Search: "nowhere"}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
