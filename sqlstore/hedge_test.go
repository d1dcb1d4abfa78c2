package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unreachable is the connector of a server that does not answer.
type unreachable struct{}

func (unreachable) Connect(context.Context) (driver.Conn, error) {
	return nil, errors.New("unreachable")
}
func (unreachable) Driver() driver.Driver { return nil }

// A place of an attempt that continues without its caller is for one that has not ended.
func TestFinishedAttemptDoesNotLinger(t *testing.T) {
	t.Parallel()
	db := sql.OpenDB(unreachable{})
	defer db.Close()
	s, err := New(db, Postgres, Options{})
	require.NoError(t, err)
	defer s.Close(t.Context())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	released := make(chan struct{})
	value, err := hedge(ctx, s, operation[int]{
		db:      db,
		do:      func(context.Context) (int, error) { return 1, nil },
		release: func() { <-released }, // the goroutine of the attempt has not ended yet
	})
	require.NoError(t, err)
	require.Equal(t, 1, value)
	assert.Empty(t, s.lingerSlots)
	close(released)
}
