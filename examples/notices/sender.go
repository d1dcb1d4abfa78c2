package main

import (
	"context"
	"fmt"
	"net/mail"
	"time"

	"github.com/latchkey-dev/apikey/manage"
)

// A sender sends each notice twice: by webhook and by mail.
type sender struct {
	mail    Mailer
	webhook Webhook
	admin   string // address for keys whose owner has no address
}

// send sends the webhook first. If the mail fails, the notice comes again, and the receiver of the webhook drops
// the repetition by its ID. In the other order a recipient would get a second mail.
func (s sender) send(ctx context.Context, n manage.Notice) error {
	if err := s.webhook.Send(ctx, n); err != nil {
		return err
	}
	subject, body := textOf(n)
	return s.mail.Send(ctx, n.ID, s.recipient(n.Key.Owner), subject, body)
}

// recipient returns the address of an owner. A service with accounts looks it up instead.
func (s sender) recipient(owner string) string {
	if a, err := mail.ParseAddress(owner); err == nil && a.Address == owner {
		return owner
	}
	return s.admin
}

func textOf(n manage.Notice) (subject, body string) {
	key := n.Key
	switch n.Kind {
	case manage.NoticeExpiring:
		return fmt.Sprintf("The API key “%s” expires on %s", key.Name, date(key.ExpiresAt)),
			"Rotate the key, or extend it. After that time the service refuses it."
	case manage.NoticeReplacedInUse:
		return fmt.Sprintf("The old API key “%s” is still used", key.Name),
			fmt.Sprintf("The key was replaced by the key %s and stops working on %s. It was last used on %s. Give the new key to the program that still uses the old one.",
				n.Successor, date(key.ExpiresAt), date(key.LastUsedAt))
	default:
		return fmt.Sprintf("The API key “%s” is not used", key.Name),
			fmt.Sprintf("The key was not used for %d days. Revoke it if no program needs it.", n.Threshold/(24*time.Hour))
	}
}

func date(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 MST") }
