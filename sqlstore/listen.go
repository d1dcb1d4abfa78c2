package sqlstore

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// A listener is a connection that receives PostgreSQL notifications, such as *pgx.Conn.
type listener[T, N any] interface {
	Exec(ctx context.Context, sql string, args ...any) (T, error)
	WaitForNotification(ctx context.Context) (N, error)
	Close(ctx context.Context) error
}

// Listen calls wake after every write to the keys of a PostgreSQL database, by any process. It
// returns the error of ctx when ctx is done. connect, such as pgx.Connect, opens one connection,
// which must not lead through a connection pooler:
//
//	go sqlstore.Listen(ctx, pgx.Connect, dsn, cache.Wake)
//
// Listen only makes a cache poll early, so missed notifications are harmless: the next regular poll
// finds the changes. If the connection is lost, Listen connects again after a second. It logs to
// [slog.Default] that it cannot listen, once until it listens again.
func Listen[C listener[T, N], T, N any](ctx context.Context, connect func(ctx context.Context, dsn string) (C, error), dsn string, wake func()) error {
	return ListenPrefix(ctx, connect, dsn, defaultPrefix, wake)
}

// ListenPrefix is like [Listen], for tables whose names begin with prefix, an [Options.TablePrefix]. It
// returns an error at once if prefix is not valid.
func ListenPrefix[C listener[T, N], T, N any](ctx context.Context, connect func(ctx context.Context, dsn string) (C, error), dsn, prefix string, wake func()) error {
	if !isValidPrefix(prefix) {
		return invalid("prefix", "%q: want an Options.TablePrefix", prefix)
	}
	const pause = time.Second
	failed := false
	for {
		err := listen(ctx, connect, dsn, channelOf(prefix), func() {
			if failed {
				slog.InfoContext(ctx, "sqlstore: listening for changes again")
				failed = false
			}
			wake()
		})
		if ctx.Err() == nil && !failed {
			slog.WarnContext(ctx, "sqlstore: cannot listen for changes; regular polls find them", "error", err)
			failed = true
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("sqlstore: listen: %w", ctx.Err())
		case <-time.After(pause):
		}
	}
}

// listen calls wake until the connection is lost or ctx is done.
func listen[C listener[T, N], T, N any](ctx context.Context, connect func(context.Context, string) (C, error), dsn, channel string, wake func()) error {
	conn, err := connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		conn.Close(ctx)
	}()
	if _, err := conn.Exec(ctx, `LISTEN "`+channel+`"`); err != nil {
		return err
	}
	for {
		wake() // the first time for writes before this connection listened
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
	}
}
