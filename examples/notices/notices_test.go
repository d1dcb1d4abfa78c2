package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// A service has a desk over a database, a mail server and a receiver of webhooks.
type service struct {
	t        *testing.T
	store    *sqlstore.Store
	reminder *manage.Reminder
	mail     *mailServer
	hook     *hookServer
}

func newService(t *testing.T) *service {
	db, err := sqlstore.OpenSQLite("sqlite", filepath.Join(t.TempDir(), "keys.db"))
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	s := &service{t: t, mail: newMailServer(t), hook: newHookServer(t)}
	s.store, err = sqlstore.New(db, sqlstore.SQLite, sqlstore.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { s.store.Close(context.Background()) })
	require.NoError(t, s.store.Migrate(t.Context()))
	issuer, err := apikey.NewIssuer(s.store, apikey.IssuerOptions{})
	require.NoError(t, err)
	desk, err := manage.New(issuer)
	require.NoError(t, err)
	s.reminder, err = newReminder(desk, sender{
		Mailer{Server: s.mail.addr, From: "keys@example.com"}, Webhook{URL: s.hook.URL, Secret: testSecret}, "admin@example.com",
	})
	require.NoError(t, err)
	return s
}

// add adds a key that was created 80 days ago.
func (s *service) add(n int, edit func(*apikey.Key)) {
	s.t.Helper()
	key := apikey.Key{ID: fmt.Sprint("key-", n), Name: "Backup job", CreatedAt: time.Now().AddDate(0, 0, -80)}
	edit(&key)
	require.NoError(s.t, s.store.Create(s.t.Context(), apikey.Digest{byte(n)}, key))
}

func subject(t *testing.T, r received) string {
	t.Helper()
	text, err := new(mime.WordDecoder).DecodeHeader(r.msg.Header.Get("Subject"))
	require.NoError(t, err)
	return text
}

func TestNoticesAreSentOnce(t *testing.T) {
	t.Parallel()
	s := newService(t)
	expires := time.Now().AddDate(0, 0, 3)
	s.add(1, func(k *apikey.Key) { k.Owner, k.ExpiresAt = "ada@example.com", expires })
	for range 2 {
		_, err := s.reminder.Check(t.Context())
		require.NoError(t, err)
	}
	mails := s.mail.all()
	require.Len(t, mails, 1)
	require.Equal(t, "ada@example.com", mails[0].to)
	require.Equal(t, "The API key “Backup job” expires on "+date(expires), subject(t, mails[0]))
	body, err := io.ReadAll(quotedprintable.NewReader(mails[0].msg.Body))
	require.NoError(t, err)
	require.Contains(t, string(body), "Rotate the key")

	require.Len(t, s.hook.ids, 1)
	require.Equal(t, "<"+s.hook.ids[0]+"@example.com>", mails[0].msg.Header.Get("Message-ID"))
	var got message
	require.NoError(t, json.Unmarshal([]byte(s.hook.bodies[0]), &got))
	require.Equal(t, "key.expiring", got.Type)
	require.Equal(t, "key-1", got.Data.Key)
	require.WithinDuration(t, expires, got.Data.ExpiresAt, time.Millisecond)
}

func TestFailedNoticesComeAgainWithTheSameID(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.add(1, func(k *apikey.Key) { k.ExpiresAt = time.Now().AddDate(0, 0, 3) })
	for _, status := range []int{http.StatusInternalServerError, http.StatusFound} {
		s.hook.status = status
		_, err := s.reminder.Check(t.Context())
		require.ErrorContains(t, err, fmt.Sprint(status))
		require.Empty(t, s.mail.all())
	}
	s.hook.status = http.StatusOK
	s.mail.setFull(true)
	_, err := s.reminder.Check(t.Context())
	require.ErrorContains(t, err, "mailbox full")
	s.mail.setFull(false)
	n, err := s.reminder.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Len(t, s.hook.ids, 4)
	for _, id := range s.hook.ids {
		require.Equal(t, s.hook.ids[0], id)
	}
	require.Equal(t, "admin@example.com", s.mail.all()[0].to)
}

func TestEachKindOfNoticeHasItsSubject(t *testing.T) {
	t.Parallel()
	s := newService(t)
	now := time.Now()
	s.add(1, func(k *apikey.Key) { k.CreatedAt = now.AddDate(0, 0, -100) })
	s.add(2, func(k *apikey.Key) { k.LastUsedAt = now.AddDate(0, 0, -1) })
	_, err := s.store.Replace(t.Context(), "key-2", now.AddDate(0, 0, 2), apikey.Digest{3}, apikey.Key{ID: "key-3", CreatedAt: now.AddDate(0, 0, -10)})
	require.NoError(t, err)
	_, err = s.reminder.Check(t.Context())
	require.NoError(t, err)
	var subjects []string
	for _, m := range s.mail.all() {
		subjects = append(subjects, subject(t, m))
	}
	require.Equal(t, []string{"The old API key “Backup job” is still used", "The API key “Backup job” is not used"}, subjects)
}

func TestRunSendsUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	db, err := sqlstore.OpenSQLite("sqlite", filepath.Join(t.TempDir(), "keys.db"))
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- run(ctx, db, sender{}) }()
	require.Eventually(t, func() bool {
		var version int
		return db.QueryRow("SELECT MAX(version) FROM apikey_schema").Scan(&version) == nil && version > 0
	}, time.Minute, 10*time.Millisecond)
	cancel()
	if err := <-ended; err != nil {
		require.ErrorIs(t, err, context.Canceled) // Migrate was about to end
	}
}

// The name of a key is user input.
func TestMailHeaderCannotBeExtended(t *testing.T) {
	t.Parallel()
	m := Mailer{From: "keys@example.com"}
	text, err := m.message("notice_1", "ada@example.com", "Key “a\r\nBcc: eve@example.com” expires", "body")
	require.NoError(t, err)
	require.NotContains(t, string(text), "\nBcc")
	_, err = m.message("notice_1", "ada@example.com\r\nBcc: eve@example.com", "subject", "body")
	require.ErrorContains(t, err, "To")
}

func TestSignatureEqualsTheReference(t *testing.T) {
	t.Parallel()
	verifier, err := standardwebhooks.NewWebhook(testSecret)
	require.NoError(t, err)
	at := time.Unix(1614265330, 0)
	want, err := verifier.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, []byte(`{"test": 2432232314}`))
	require.NoError(t, err)
	got, err := Webhook{Secret: testSecret}.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, []byte(`{"test": 2432232314}`))
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", got) // from the libraries of the specification
}

func TestWebhookNeedsASecret(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"", "whsec_", "whsec_c2hvcnQ=", "not base64!"} {
		_, err := Webhook{Secret: secret}.sign("id", time.Now(), nil)
		require.ErrorContains(t, err, "webhook secret", secret)
	}
}
