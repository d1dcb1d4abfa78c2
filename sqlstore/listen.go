package sqlstore

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// A listener is a connection that waits for PostgreSQL's notifications, such as *pgx.Conn.
type listener[T, N any] interface {
	Exec(ctx context.Context, sql string, args ...any) (T, error)
	WaitForNotification(ctx context.Context) (N, error)
	Close(ctx context.Context) error
}

// Listen calls wake for every write to the keys of a PostgreSQL database, by whichever
// process, until ctx is done, whose error it returns. It takes one direct connection, not one
// of a pooler's, by a function such as pgx.Connect:
//
//	go sqlstore.Listen(ctx, pgx.Connect, dsn, cache.Wake)
//
// It only wakes the poll of a cache early: when the connection is lost it connects again after
// a while, and whatever is missed meanwhile the next poll finds. It tells [slog.Default] when it
// cannot listen, once until it can again.
func Listen[C listener[T, N], T, N any](ctx context.Context, connect func(ctx context.Context, dsn string) (C, error), dsn string, wake func()) error {
	const pause = time.Second
	failed := false
	for {
		err := listen(ctx, connect, dsn, func() {
			if failed {
				slog.InfoContext(ctx, "sqlstore: listening for changes again")
				failed = false
			}
			wake()
		})
		if ctx.Err() == nil && !failed {
			slog.WarnContext(ctx, "sqlstore: cannot listen for changes; polls find them later", "error", err)
			failed = true
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("sqlstore: listening ended: %w", ctx.Err())
		case <-time.After(pause):
		}
	}
}

// listen does so until the connection is lost.
func listen[C listener[T, N], T, N any](ctx context.Context, connect func(context.Context, string) (C, error), dsn string, wake func()) error {
	conn, err := connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		conn.Close(ctx)
	}()
	if _, err := conn.Exec(ctx, "LISTEN apikey"); err != nil {
		return err
	}
	for {
		wake() // first for what came before
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
	}
}
