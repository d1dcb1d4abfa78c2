// Command notices tells customers by mail, and an administrator's system by a signed webhook, that keys
// expire soon, are unused, or were rotated and are still used.
package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	_ "modernc.org/sqlite"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/sqlstore"
)

func main() {
	file := flag.String("db", "keys.db", "SQLite file with the keys")
	mail := Mailer{}
	flag.StringVar(&mail.Server, "smtp", "localhost:25", "SMTP server")
	flag.StringVar(&mail.From, "from", "keys@example.com", "address of the sender")
	to := flag.String("to", "admin@example.com", "address for keys whose owner is not a mail address")
	hook := Webhook{Secret: os.Getenv("WEBHOOK_SECRET")}
	flag.StringVar(&hook.URL, "webhook", "https://example.com/hooks/keys", "URL of the webhook; WEBHOOK_SECRET signs its messages")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	db, err := sqlstore.OpenSQLite("sqlite", *file)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	fmt.Printf("Sending notices about the keys in %s by mail through %s, and to %s\n", *file, mail.Server, hook.URL)
	if err := run(ctx, db, sender{mail, hook, *to}); err != nil {
		log.Fatal(err)
	}
}

// run sends notices until ctx is done. Every instance of a service may call it.
func run(ctx context.Context, db *sql.DB, s sender) error {
	store, err := sqlstore.New(db, sqlstore.SQLite, sqlstore.Options{})
	if err != nil {
		return err
	}
	defer store.Close(context.Background())
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	if err != nil {
		return err
	}
	desk, err := manage.New(issuer)
	if err != nil {
		return err
	}
	reminder, err := newReminder(desk, s)
	if err != nil {
		return err
	}
	reminder.Run(ctx)
	return nil
}

func newReminder(desk *manage.Desk, s sender) (*manage.Reminder, error) {
	const day = 24 * time.Hour
	return manage.NewReminder(desk, manage.ReminderOptions{
		Rules: manage.NoticeRules{
			Before: []time.Duration{30 * day, 7 * day, day},
			Unused: 90 * day,
		},
		Notify: s.send,
	})
}
