package database

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHasPassword(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rule, text string
		want       bool
	}{
		{"a file", "keys.db", false},
		{"an absolute path, whatever it contains", "/srv/ann@example.com/password=x/keys.db", false},
		{"a relative path, whatever it contains", "./ann@example.com/keys.db", false},
		{"a path of the parent folder", "../ann@example.com/keys.db", false},
		{"a URL without a login", "postgres://db.internal/keys", false},
		{"a URL with a user", "postgres://ann@db.internal/keys", false},
		{"a URL with a password", "postgres://ann:secret@db.internal/keys", true},
		{"a URL with a password among its parameters", "postgres://db.internal/keys?user=ann&Password=secret", true},
		{"a DSN of go-sql-driver", "ann:secret@tcp(db.internal)/keys", true},
		{"a DSN of libpq", "host=db.internal user=ann PASSWORD=secret", true},
	} {
		require.Equal(t, test.want, HasPassword(test.text), test.rule)
	}
}
