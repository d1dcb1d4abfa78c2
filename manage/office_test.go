package manage_test

import (
	"context"
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
