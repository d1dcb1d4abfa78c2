package drivertest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/sqlstore"
)

// A quietConn receives no notification until it is lost.
type quietConn struct{ lost chan error }

func (c quietConn) Exec(context.Context, string, ...any) (int, error) { return 0, nil }
func (c quietConn) Close(context.Context) error                       { return nil }
func (c quietConn) WaitForNotification(ctx context.Context) (any, error) {
	select {
	case err := <-c.lost:
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// The test is not parallel, because it replaces the default Logger.
func TestListenLogsEachFailureOnce(t *testing.T) {
	var log bytes.Buffer
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})))
	synctest.Test(t, func(t *testing.T) {
		conn, refusals := quietConn{make(chan error)}, 5
		connect := func(context.Context, string) (quietConn, error) {
			if refusals > 0 {
				refusals--
				return conn, errors.New("refused")
			}
			return conn, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- sqlstore.Listen(ctx, connect, "", func() {}) }()
		time.Sleep(time.Minute)
		conn.lost <- errors.New("reset")
		time.Sleep(time.Minute)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	assert.Equal(t, `level=WARN msg="sqlstore: cannot listen for changes; regular polls find them" error=refused
level=INFO msg="sqlstore: listening for changes again"
level=WARN msg="sqlstore: cannot listen for changes; regular polls find them" error=reset
level=INFO msg="sqlstore: listening for changes again"
`, log.String())
}
