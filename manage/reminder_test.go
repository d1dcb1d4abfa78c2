package manage_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

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
