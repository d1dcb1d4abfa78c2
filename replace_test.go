package apikey_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestReplacedBy(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Microsecond)
	key := apikey.Key{ID: "1", Name: "n", Owner: "o", Scopes: []string{"s"}, Metadata: map[string]string{"k": "v"}, Hint: "old"}
	next := apikey.Key{ID: "2", Name: "x", Owner: "x", Scopes: []string{"x"}, Hint: "new", CreatedAt: now, RevokedAt: now}

	old, successor, err := key.ReplacedBy(now, now.Add(time.Hour), next, apikey.Lineage{})
	require.NoError(t, err)
	assert.Equal(t, now.Add(time.Hour), old.ExpiresAt)
	assert.Equal(t, apikey.Key{ID: "2", Name: "n", Owner: "o", Scopes: []string{"s"}, Metadata: map[string]string{"k": "v"},
		Hint: "new", Replaces: "1", Origin: "1", CreatedAt: now}, successor, "the successor inherits the fields of the old key and is not revoked")

	sooner := key
	sooner.ExpiresAt = now.Add(time.Minute)
	old, _, err = sooner.ReplacedBy(now, now.Add(time.Hour), next, apikey.Lineage{})
	require.NoError(t, err)
	assert.Equal(t, now.Add(time.Minute), old.ExpiresAt, "the old key keeps an earlier expiry")

	_, _, err = key.ReplacedBy(now, time.Time{}, next, apikey.Lineage{})
	assert.ErrorIs(t, err, apikey.ErrInvalid, "expiresAt must not be zero")
	_, _, err = key.ReplacedBy(now, now, apikey.Key{ID: "a b"}, apikey.Lineage{})
	assert.ErrorIs(t, err, apikey.ErrInvalid, "the successor is validated")
	key.RevokedAt = now
	_, _, err = key.ReplacedBy(now, now, next, apikey.Lineage{})
	assert.ErrorIs(t, err, apikey.ErrRevoked)
}
