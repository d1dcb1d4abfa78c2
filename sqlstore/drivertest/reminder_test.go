package drivertest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// An outbox collects the notices of several nodes.
type outbox struct {
	mu   sync.Mutex
	sent map[string]int // by kind and key ID
	fail error
}

func (b *outbox) notify(_ context.Context, n manage.Notice) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail == nil {
		b.sent[string(n.Kind)+" "+n.Key.ID]++
	}
	return b.fail
}

// check makes one pass of a reminder of a new process.
func (b *outbox) check(t *testing.T, store *sqlstore.Store, rules manage.NoticeRules) {
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	desk, err := manage.New(issuer)
	require.NoError(t, err)
	r, err := manage.NewReminder(desk, manage.ReminderOptions{Rules: rules, Logger: silent, Notify: b.notify})
	require.NoError(t, err)
	_, err = r.Check(t.Context())
	assert.ErrorIs(t, err, b.fail)
}

// agedKey returns a key that was created 100 days ago.
func agedKey(n int, expires time.Time) apikey.Key {
	key := keyOf(n)
	key.CreatedAt, key.ExpiresAt = time.Now().AddDate(0, 0, -100), expires
	return key
}

func TestReminderSendsEachNoticeOnce(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		const expiring, unused, fresh, rotated = 8, 4, 4, 4
		dsn := e.create(t)
		nodes := []*sqlstore.Store{e.openStore(t, dsn, sqlstore.Options{}), e.openStore(t, dsn, sqlstore.Options{})}
		ctx, store, soon := t.Context(), nodes[0], time.Now().AddDate(0, 0, 3)
		box := outbox{sent: map[string]int{}}
		want := map[string]int{}
		n := 0
		next := func() int { n++; return n }
		for range expiring {
			key := agedKey(next(), soon)
			key.LastUsedAt = time.Now()
			require.NoError(t, store.Create(ctx, digestOf(n), key))
			want["expiring "+key.ID] = 1
		}
		for range unused {
			key := agedKey(next(), time.Time{})
			require.NoError(t, store.Create(ctx, digestOf(n), key))
			want["unused "+key.ID] = 1
		}
		for range fresh {
			key := agedKey(next(), time.Now().AddDate(1, 0, 0))
			key.LastUsedAt = time.Now()
			require.NoError(t, store.Create(ctx, digestOf(n), key))
		}
		for range rotated {
			key := agedKey(next(), time.Now().AddDate(1, 0, 0))
			require.NoError(t, store.Create(ctx, digestOf(n), key))
			// It was rotated 10 days ago, ends in 3 days, and was used yesterday.
			successor := agedKey(next(), time.Time{})
			successor.CreatedAt = time.Now().AddDate(0, 0, -10)
			require.NoError(t, errorOf(store.Replace(ctx, key.ID, soon, digestOf(n), successor)))
			store.Touch(digestOf(n-1), apikey.Use{At: time.Now().AddDate(0, 0, -1)})
			want["replaced_in_use "+key.ID] = 1
		}
		require.NoError(t, store.Flush(ctx))
		rules := manage.NoticeRules{Unused: 90 * 24 * time.Hour}

		box.fail = errors.New("no mail today")
		box.check(t, store, rules)
		require.Empty(t, box.sent)
		box.fail = nil
		var all sync.WaitGroup
		for _, node := range nodes {
			for range 2 {
				all.Go(func() { box.check(t, node, rules) })
			}
		}
		all.Wait()
		require.Equal(t, want, box.sent, "of two nodes at once")
		box.check(t, e.openStore(t, dsn, sqlstore.Options{}), rules)
		require.Equal(t, want, box.sent, "after a restart")
	})
}

// The claim of a process that ended counts until its Until.
func TestReminderRepeatsTheNoticeOfACrashedProcess(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		store := e.openStore(t, dsn, sqlstore.Options{})
		key := agedKey(0, time.Now().AddDate(0, 0, 3))
		require.NoError(t, store.Create(t.Context(), digestOf(0), key))
		issuer := must(apikey.NewIssuer(store, apikey.IssuerOptions{}))
		session := must(must(manage.New(issuer)).As(manage.Access{Actor: "root", AllOwners: true}))
		var notice manage.Notice
		for n, err := range session.Notices(t.Context(), manage.NoticeRules{}) {
			require.NoError(t, err)
			notice = n
		}
		box := outbox{sent: map[string]int{}}
		begun := time.Now().Add(-time.Hour)
		claim := apikey.NoticeClaim{ID: notice.ID, KeyID: key.ID, At: begun, Until: begun.Add(2 * time.Hour)}
		require.True(t, claimNotice(t, store, claim))
		box.check(t, e.openStore(t, dsn, sqlstore.Options{}), manage.NoticeRules{})
		require.Empty(t, box.sent, "before the claim ends")

		require.NoError(t, store.ReleaseNotice(t.Context(), claim))
		claim.Until = begun.Add(time.Minute)
		require.True(t, claimNotice(t, store, claim))
		box.check(t, e.openStore(t, dsn, sqlstore.Options{}), manage.NoticeRules{})
		require.Equal(t, map[string]int{"expiring " + key.ID: 1}, box.sent, "after the claim has ended")
	})
}
