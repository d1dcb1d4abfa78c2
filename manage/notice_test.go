package manage_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

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
