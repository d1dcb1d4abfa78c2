package manage_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

const day = 24 * time.Hour

// An office is a desk over a memstore whose Reminder collects what it sends. It belongs in a synctest bubble.
type office struct {
	t      *testing.T
	store  *memstore.Store
	issuer *apikey.Issuer
	desk   *manage.Desk
	rules  manage.NoticeRules
	fail   error // of Notify

	mu   sync.Mutex
	sent []manage.Notice
}

func newOffice(t *testing.T) *office {
	o := &office{t: t, store: memstore.New()}
	var err error
	o.issuer, err = apikey.NewIssuer(o.store, apikey.IssuerOptions{})
	require.NoError(t, err)
	o.desk, err = manage.New(o.issuer)
	require.NoError(t, err)
	return o
}

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

func (o *office) reminder() *manage.Reminder {
	r, err := manage.NewReminder(o.desk, manage.ReminderOptions{Rules: o.rules, Logger: silent, Notify: func(_ context.Context, n manage.Notice) error {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.fail == nil {
			o.sent = append(o.sent, n)
		}
		return o.fail
	}})
	require.NoError(o.t, err)
	return r
}

// issue makes a key that lives for a time; 0 means that it does not expire.
func (o *office) issue(lifetime time.Duration) apikey.Key {
	k := apikey.NewKey{Name: "Backup job"}
	if lifetime > 0 {
		k.ExpiresAt = time.Now().Add(lifetime)
	}
	_, key, err := o.issuer.Issue(o.t.Context(), k)
	require.NoError(o.t, err)
	return key
}

func (o *office) rotate(id string, grace time.Duration) apikey.Key {
	_, key, err := o.issuer.Rotate(o.t.Context(), id, grace)
	require.NoError(o.t, err)
	return key
}

func (o *office) expireAt(id string, at time.Time) {
	_, err := o.store.Update(o.t.Context(), id, apikey.Patch{ExpiresAt: &at})
	require.NoError(o.t, err)
}

// check makes one pass and returns what it sent, such as "expiring 168h0m0s".
func (o *office) check() (sent []string) {
	before := len(o.sent)
	_, err := o.reminder().Check(o.t.Context())
	require.NoError(o.t, err)
	for _, n := range o.sent[before:] {
		text := string(n.Kind)
		if n.Threshold != 0 {
			text += " " + n.Threshold.String()
		}
		sent = append(sent, text)
	}
	return sent
}

// inBubble runs a test with a clock of its own.
func inBubble(t *testing.T, name string, test func(t *testing.T, o *office)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, newOffice(t)) })
	})
}

const (
	month   = "expiring 720h0m0s"
	week    = "expiring 168h0m0s"
	lastDay = "expiring 24h0m0s"
)

func TestExpiringKeys(t *testing.T) {
	t.Parallel()
	inBubble(t, "get one notice for each time before their expiry", func(t *testing.T, o *office) {
		o.issue(90 * day)
		at := map[int][]string{}
		for d := range 92 {
			if sent := o.check(); sent != nil {
				at[d] = sent
			}
			time.Sleep(day)
		}
		require.Equal(t, map[int][]string{60: {month}, 83: {week}, 89: {lastDay}}, at)
	})
	inBubble(t, "get the last one of the notices that were missed", func(t *testing.T, o *office) {
		o.issue(90 * day)
		time.Sleep(88 * day)
		require.Equal(t, []string{week}, o.check())
		require.Empty(t, o.check())
	})
	inBubble(t, "get no notice for a time before their creation", func(t *testing.T, o *office) {
		o.issue(7 * day)
		require.Empty(t, o.check())
		time.Sleep(6 * day)
		require.Equal(t, []string{lastDay}, o.check())
	})
	inBubble(t, "get the notices again after an extension", func(t *testing.T, o *office) {
		key := o.issue(60 * day)
		time.Sleep(55 * day)
		require.Equal(t, []string{week}, o.check())
		o.expireAt(key.ID, time.Now().Add(60*day))
		require.Empty(t, o.check())
		time.Sleep(55 * day)
		require.Equal(t, []string{week}, o.check())
		require.NotEqual(t, o.sent[0].ID, o.sent[1].ID)
	})
	inBubble(t, "that are revoked, suspended or expired get no notice", func(t *testing.T, o *office) {
		_, err := o.store.Revoke(t.Context(), o.issue(40*day).ID)
		require.NoError(t, err)
		_, err = o.store.Update(t.Context(), o.issue(40*day).ID, apikey.Patch{Suspended: new(true)})
		require.NoError(t, err)
		o.issue(20 * day)
		time.Sleep(39*day + 12*time.Hour)
		require.Empty(t, o.check())
	})
	inBubble(t, "use the times of the rules", func(t *testing.T, o *office) {
		o.rules.Before = []time.Duration{day, 60 * day}
		o.issue(90 * day)
		time.Sleep(31 * day)
		require.Equal(t, []string{"expiring 1440h0m0s"}, o.check())
	})
	inBubble(t, "get no notice by rules without times", func(t *testing.T, o *office) {
		o.rules.Before = []time.Duration{}
		o.issue(90 * day)
		time.Sleep(89 * day)
		require.Empty(t, o.check())
	})
	inBubble(t, "that never expire get no notice", func(t *testing.T, o *office) {
		o.issue(0)
		time.Sleep(3650 * day)
		require.Empty(t, o.check())
	})
}

func TestRotatedKeys(t *testing.T) {
	t.Parallel()
	inBubble(t, "get no notice that they expire", func(t *testing.T, o *office) {
		old := o.issue(90 * day)
		time.Sleep(70 * day)
		o.rotate(old.ID, 10*day)
		for range 10 {
			require.Empty(t, o.check())
			time.Sleep(day)
		}
	})
	inBubble(t, "expire like other keys if their successor is revoked", func(t *testing.T, o *office) {
		old := o.issue(90 * day)
		time.Sleep(70 * day)
		_, err := o.store.Revoke(t.Context(), o.rotate(old.ID, 10*day).ID)
		require.NoError(t, err)
		require.Equal(t, []string{month}, o.check())
	})
	inBubble(t, "get no notice if the successor was rotated in turn", func(t *testing.T, o *office) {
		old := o.issue(90 * day)
		time.Sleep(60 * day)
		second := o.rotate(old.ID, 10*day)
		o.rotate(second.ID, time.Hour)
		time.Sleep(day)
		require.Empty(t, o.check())
	})
}

// used issues a key whose uses the store records.
func (o *office) used(lifetime time.Duration) (apikey.Key, func()) {
	secret, key, err := o.issuer.Issue(o.t.Context(), apikey.NewKey{Name: "Backup job", ExpiresAt: time.Now().Add(lifetime)})
	require.NoError(o.t, err)
	format, err := apikey.NewFormat("ak", apikey.FormatOptions{})
	require.NoError(o.t, err)
	d, err := format.Digest(secret)
	require.NoError(o.t, err)
	return key, func() { o.store.Touch(d, apikey.Use{At: time.Now()}) }
}

func TestReplacedKeysInUse(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		used  time.Duration // after the rotation, whose grace is 10 days
		check time.Duration
		want  []string
	}{
		{"get a notice from the middle of their grace on", 4 * day, 5 * day, []string{"replaced_in_use"}},
		{"get no notice in the first half of their grace", 4 * day, 5*day - time.Second, nil},
		{"get no notice for a use while the new key was distributed", 20 * time.Hour, 6 * day, nil},
		{"get no notice for a use before the rotation", -time.Hour, 6 * day, nil},
		{"get no notice after their end", 9 * day, 10 * day, nil},
	} {
		inBubble(t, test.name, func(t *testing.T, o *office) {
			old, use := o.used(90 * day)
			time.Sleep(60*day + min(0, test.used))
			if test.used < 0 {
				use()
				time.Sleep(-test.used)
			}
			rotated := time.Now()
			next := o.rotate(old.ID, 10*day)
			if test.used > 0 {
				time.Sleep(test.used)
				use()
			}
			time.Sleep(time.Until(rotated.Add(test.check)))
			require.Equal(t, test.want, o.check())
			require.Empty(t, o.check())
			if test.want != nil {
				require.Equal(t, next.ID, o.sent[0].Successor)
				require.Equal(t, rotated.Add(5*day), o.sent[0].At.In(rotated.Location()))
			}
		})
	}
}

func TestUnusedKeys(t *testing.T) {
	t.Parallel()
	const unused = "unused 2160h0m0s"
	inBubble(t, "get a notice once, and again after a later use", func(t *testing.T, o *office) {
		o.rules = manage.NoticeRules{Before: []time.Duration{}, Unused: 90 * day}
		_, use := o.used(1000 * day)
		time.Sleep(80 * day)
		use()
		time.Sleep(89 * day)
		require.Empty(t, o.check())
		time.Sleep(day)
		require.Equal(t, []string{unused}, o.check())
		time.Sleep(100 * day)
		require.Empty(t, o.check())
		use()
		time.Sleep(90 * day)
		require.Equal(t, []string{unused}, o.check())
		require.NotEqual(t, o.sent[0].ID, o.sent[1].ID)
	})
	inBubble(t, "get a notice if they were never used", func(t *testing.T, o *office) {
		o.rules.Unused = 90 * day
		o.issue(0)
		time.Sleep(90*day - time.Second)
		require.Empty(t, o.check())
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{unused}, o.check())
	})
	inBubble(t, "get no notice after a rotation", func(t *testing.T, o *office) {
		o.rules.Unused = 90 * day
		old := o.issue(0)
		time.Sleep(80 * day)
		o.rotate(old.ID, 300*day)
		time.Sleep(20 * day)
		require.Empty(t, o.check())
	})
	inBubble(t, "get no notice by default", func(t *testing.T, o *office) {
		o.issue(0)
		time.Sleep(3650 * day)
		require.Empty(t, o.check())
	})
}

func TestReminder(t *testing.T) {
	t.Parallel()
	inBubble(t, "sends each notice once from several processes", func(t *testing.T, o *office) {
		for range 20 {
			o.issue(60 * day)
		}
		time.Sleep(40 * day)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				_, err := o.reminder().Check(t.Context())
				require.NoError(t, err)
			})
		}
		all.Wait()
		require.Len(t, o.sent, 20)
	})
	inBubble(t, "sends the notices of more keys than a page has", func(t *testing.T, o *office) {
		o.rules.Unused = 35 * day
		for range 1100 {
			o.issue(60 * day)
			o.issue(0)
		}
		time.Sleep(40 * day)
		kinds := map[string]int{}
		for _, sent := range o.check() {
			kinds[sent]++
		}
		require.Equal(t, map[string]int{month: 1100, "unused 840h0m0s": 2200}, kinds)
		require.Empty(t, o.check())
	})
	inBubble(t, "sends a notice again with the same ID if Notify fails", func(t *testing.T, o *office) {
		o.issue(60 * day)
		time.Sleep(40 * day)
		o.fail = errors.New("no mail today")
		n, err := o.reminder().Check(t.Context())
		require.ErrorIs(t, err, o.fail)
		require.Zero(t, n)
		o.fail = nil
		require.Equal(t, []string{month}, o.check())
	})
	inBubble(t, "goes on with other notices if Notify fails", func(t *testing.T, o *office) {
		first, second := o.issue(60*day), o.issue(60*day)
		time.Sleep(40 * day)
		var sent []string
		r, err := manage.NewReminder(o.desk, manage.ReminderOptions{Logger: silent, Notify: func(_ context.Context, n manage.Notice) error {
			if n.Key.ID == first.ID {
				return errors.New("no such address")
			}
			sent = append(sent, n.Key.ID)
			return nil
		}})
		require.NoError(t, err)
		_, err = r.Check(t.Context())
		require.ErrorContains(t, err, "notices not sent: 1; the first error: no such address")
		require.Equal(t, []string{second.ID}, sent)
	})
	inBubble(t, "repeats a notice of a process that ended while it sent it", func(t *testing.T, o *office) {
		o.issue(60 * day)
		time.Sleep(40 * day)
		var first manage.Notice
		r, err := manage.NewReminder(o.desk, manage.ReminderOptions{Timeout: time.Minute, Notify: func(_ context.Context, n manage.Notice) error {
			first = n
			panic("the process ends")
		}})
		require.NoError(t, err)
		require.Panics(t, func() { r.Check(t.Context()) })
		require.Empty(t, o.check())
		time.Sleep(2*time.Minute - time.Second)
		require.Empty(t, o.check())
		time.Sleep(time.Second)
		require.Equal(t, []string{month}, o.check())
		require.Equal(t, first.ID, o.sent[0].ID)
	})
	inBubble(t, "does not send a notice of a key that was rotated during the check", func(t *testing.T, o *office) {
		keys := []apikey.Key{o.issue(60 * day), o.issue(60 * day)}
		time.Sleep(40 * day)
		sent := 0
		r, err := manage.NewReminder(o.desk, manage.ReminderOptions{Notify: func(_ context.Context, n manage.Notice) error {
			for _, key := range keys {
				if key.ID != n.Key.ID {
					o.rotate(key.ID, day)
				}
			}
			sent++
			return nil
		}})
		require.NoError(t, err)
		n, err := r.Check(t.Context())
		require.NoError(t, err)
		require.Equal(t, []int{1, 1}, []int{sent, n})
	})
	inBubble(t, "bounds a call of Notify", func(t *testing.T, o *office) {
		o.issue(60 * day)
		time.Sleep(40 * day)
		begun := time.Now()
		r, err := manage.NewReminder(o.desk, manage.ReminderOptions{Timeout: 10 * time.Second, Logger: silent, Notify: func(ctx context.Context, _ manage.Notice) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		require.NoError(t, err)
		_, err = r.Check(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 10*time.Second, time.Since(begun))
	})
	inBubble(t, "records a notice that was sent while its context ended", func(t *testing.T, o *office) {
		o.issue(60 * day)
		time.Sleep(40 * day)
		ctx, cancel := context.WithCancel(t.Context())
		r, err := manage.NewReminder(o.desk, manage.ReminderOptions{Notify: func(context.Context, manage.Notice) error {
			cancel()
			return nil
		}})
		require.NoError(t, err)
		n, _ := r.Check(ctx)
		require.Equal(t, 1, n)
		require.Empty(t, o.check())
	})
	inBubble(t, "checks at intervals until its context ends", func(t *testing.T, o *office) {
		o.issue(60 * day)
		ctx, cancel := context.WithCancel(t.Context())
		r := o.reminder()
		ended := make(chan struct{})
		go func() { r.Run(ctx); close(ended) }()
		time.Sleep(60 * day)
		cancel()
		<-ended
		require.Len(t, o.sent, 3)
		for i, before := range []time.Duration{30 * day, 7 * day, day} {
			require.Equal(t, before, o.sent[i].Threshold)
		}
	})
}

// bare hides the optional methods of a store that package manage does not need.
type bare struct{ apikey.KeyManager }

func (b bare) If(c apikey.Condition) apikey.KeyManager {
	return b.KeyManager.(apikey.Conditional).If(c)
}

func TestNewReminderRefusesNonsense(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	issuer, err := apikey.NewIssuer(bare{o.store}, apikey.IssuerOptions{})
	require.NoError(t, err)
	withoutNotices, err := manage.New(issuer)
	require.NoError(t, err)
	notify := func(context.Context, manage.Notice) error { return nil }
	for field, test := range map[string]struct {
		desk    *manage.Desk
		options manage.ReminderOptions
	}{
		"Desk: nil":        {nil, manage.ReminderOptions{Notify: notify}},
		"Desk: manage_tes": {withoutNotices, manage.ReminderOptions{Notify: notify}},
		"Notify":           {o.desk, manage.ReminderOptions{}},
		"Timeout":          {o.desk, manage.ReminderOptions{Notify: notify, Timeout: -1}},
		"Interval":         {o.desk, manage.ReminderOptions{Notify: notify, Interval: -1}},
		"Before: 0s":       {o.desk, manage.ReminderOptions{Notify: notify, Rules: manage.NoticeRules{Before: []time.Duration{0}}}},
		"Before: 11 times": {o.desk, manage.ReminderOptions{Notify: notify, Rules: manage.NoticeRules{Before: make([]time.Duration, 11)}}},
		"Unused: -1ns":     {o.desk, manage.ReminderOptions{Notify: notify, Rules: manage.NoticeRules{Unused: -1}}},
		"Unused: 876000h":  {o.desk, manage.ReminderOptions{Notify: notify, Rules: manage.NoticeRules{Unused: 100 * 365 * day}}},
	} {
		_, err := manage.NewReminder(test.desk, test.options)
		require.ErrorIs(t, err, apikey.ErrInvalid, field)
		require.ErrorContains(t, err, field)
	}
}

func TestNoticesOfASession(t *testing.T) {
	t.Parallel()
	inBubble(t, "are those of the keys that it sees, also after they were sent", func(t *testing.T, o *office) {
		for _, owner := range []string{"alice", "bob"} {
			_, _, err := o.issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job", Owner: owner, ExpiresAt: time.Now().Add(60 * day)})
			require.NoError(t, err)
		}
		time.Sleep(40 * day)
		require.Len(t, o.check(), 2)
		session, err := o.desk.As(manage.Access{Actor: "alice", Owner: "alice"})
		require.NoError(t, err)
		var found []string
		for n, err := range session.Notices(t.Context(), manage.NoticeRules{}) {
			require.NoError(t, err)
			found = append(found, n.Key.Owner+" "+string(n.Kind))
		}
		require.Equal(t, []string{"alice expiring"}, found)
	})
	inBubble(t, "do not name a successor that it does not see", func(t *testing.T, o *office) {
		old, use := o.used(90 * day)
		alice, bob := "alice", "bob"
		_, err := o.store.Update(t.Context(), old.ID, apikey.Patch{Owner: &alice})
		require.NoError(t, err)
		time.Sleep(day)
		next := o.rotate(old.ID, 10*day)
		_, err = o.store.Update(t.Context(), next.ID, apikey.Patch{Owner: &bob})
		require.NoError(t, err)
		time.Sleep(6 * day)
		use()
		session, err := o.desk.As(manage.Access{Actor: "alice", Owner: "alice"})
		require.NoError(t, err)
		for n, err := range session.Notices(t.Context(), manage.NoticeRules{}) {
			require.NoError(t, err)
			require.Equal(t, manage.NoticeReplacedInUse, n.Kind)
			require.Empty(t, n.Successor)
			return
		}
		t.Error("no notice; want one")
	})
	inBubble(t, "are an error for rules out of their limits", func(t *testing.T, o *office) {
		session, err := o.desk.As(manage.Access{Actor: "root", AllOwners: true})
		require.NoError(t, err)
		for _, err := range session.Notices(t.Context(), manage.NoticeRules{Unused: -1}) {
			require.ErrorIs(t, err, apikey.ErrInvalid)
		}
	})
}
