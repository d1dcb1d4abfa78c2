package manage_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// A client that lost an answer may repeat its request much later.
func TestRepeatedRequestReturnsTheKeyAlthoughItWouldNowBeRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, ctx := newOffice(t), t.Context()
		as := func(a manage.Access) *manage.Session {
			a.Actor, a.Owner = "alice", "alice"
			session, err := o.desk.As(a)
			require.NoError(t, err)
			return session
		}
		before := as(manage.Access{Scopes: []string{"read", "write"}, NotAfter: time.Now().Add(40 * day)})
		key := apikey.NewKey{Name: "Backup job", Scopes: []string{"write"}, ExpiresAt: time.Now().Add(30 * day)}
		_, issued, err := before.Issue(ctx, key, "request")
		require.NoError(t, err)
		_, old, err := before.Issue(ctx, apikey.NewKey{Name: "Old", Scopes: []string{"write"}}, "")
		require.NoError(t, err)
		_, moved, err := before.Issue(ctx, apikey.NewKey{Name: "Moved"}, "")
		require.NoError(t, err)
		_, rotated, err := before.Rotate(ctx, old.ID, day, "request")
		require.NoError(t, err)
		_, successor, err := before.Rotate(ctx, moved.ID, day, "request")
		require.NoError(t, err)
		_, err = o.store.Update(ctx, moved.ID, apikey.Patch{Owner: new("bob")})
		require.NoError(t, err)

		check := func(when string, s *manage.Session) {
			t.Helper()
			secret, again, err := s.Issue(ctx, key, "request")
			if assert.NoError(t, err, "Issue %s", when) {
				assert.Equal(t, issued.ID, again.ID, "Issue %s", when)
				assert.Zero(t, secret, "Issue %s", when)
			}
			for old, want := range map[string]string{old.ID: rotated.ID, moved.ID: successor.ID} {
				secret, again, err = s.Rotate(ctx, old, day, "request")
				if assert.NoError(t, err, "Rotate %s", when) {
					assert.Equal(t, want, again.ID, "Rotate %s", when)
					assert.Zero(t, secret, "Rotate %s", when)
				}
			}
		}
		check("with the same Access", before)
		check("with fewer scopes", as(manage.Access{Scopes: []string{"read"}}))
		check("with a shorter lifetime", as(manage.Access{Scopes: []string{"read", "write"}, MaxLifetime: day}))
		time.Sleep(31 * day)
		check("after the expiry of the keys", before)
		time.Sleep(10 * day)
		check("after the end of the Access", before)

		_, _, err = before.Issue(ctx, key, "request-2")
		assert.ErrorIs(t, err, manage.ErrRefused)
		_, _, err = as(manage.Access{AnyScope: true}).Issue(ctx, key, "request-2")
		assert.ErrorIs(t, err, apikey.ErrInvalid, "the expiry has passed")
	})
}
