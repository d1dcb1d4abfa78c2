package apikey_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestListOptionsValidate(t *testing.T) {
	t.Parallel()
	o, err := apikey.ListOptions{}.Validate()
	require.NoError(t, err)
	assert.Equal(t, apikey.ListOptions{Sort: apikey.SortNewest, Limit: 50}, o, "the zero value is the 50 newest")
	for _, test := range []struct {
		name string
		o    apikey.ListOptions
		says string // "": valid
	}{
		{"500 at once", apikey.ListOptions{Limit: 500}, ""},
		{"501 at once", apikey.ListOptions{Limit: 501}, "Limit 501"},
		{"fewer than none", apikey.ListOptions{Limit: -1}, "Limit -1"},
		{"an unknown Sort", apikey.ListOptions{Sort: "used"}, `Sort "used"`},
		{"an unknown Status", apikey.ListOptions{Status: "Active"}, `Status "Active"`},
		{"a Search of 100 characters", apikey.ListOptions{Search: strings.Repeat("é", 100)}, ""},
		{"a Search of 101 characters", apikey.ListOptions{Search: strings.Repeat("é", 101)}, "Search"},
		{"a Search for NUL", apikey.ListOptions{Search: "\x00"}, "Search"},
		{"a Search for broken UTF-8", apikey.ListOptions{Search: "\xff"}, "Search"},
		{"an Owner with NUL", apikey.ListOptions{Owner: "a\x00"}, "Owner"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.o.Validate()
			if test.says == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorIs(t, err, apikey.ErrInvalid)
			assert.ErrorContains(t, err, test.says)
		})
	}
}

func TestPatchApply(t *testing.T) {
	t.Parallel()
	key := apikey.Key{ID: "1", Name: "a", Owner: "o", Scopes: []string{"s"}, Metadata: map[string]string{"k": "v"}, ExpiresAt: time.Unix(1, 0).UTC(), RevokedAt: time.Unix(2, 0).UTC()}
	same, err := apikey.Patch{}.Apply(key)
	require.NoError(t, err)
	assert.Equal(t, key, same, "the zero Patch changes nothing")

	name, scopes, metadata, never := "b", []string{"t"}, map[string]string(nil), time.Time{}
	changed, err := apikey.Patch{Name: &name, Scopes: &scopes, Metadata: &metadata, ExpiresAt: &never}.Apply(key)
	require.NoError(t, err)
	assert.Equal(t, apikey.Key{ID: "1", Name: "b", Owner: "o", Scopes: []string{"t"}, RevokedAt: key.RevokedAt}, changed)
	scopes[0] = "u"
	assert.Equal(t, "t", changed.Scopes[0], "no memory is shared with the Patch")

	blank := " "
	_, err = apikey.Patch{Name: &blank}.Apply(key)
	assert.ErrorIs(t, err, apikey.ErrInvalid)
}

func TestReplacedBy(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Microsecond)
	key := apikey.Key{ID: "1", Name: "n", Owner: "o", Scopes: []string{"s"}, Metadata: map[string]string{"k": "v"}, Hint: "old"}
	next := apikey.Key{ID: "2", Name: "x", Owner: "x", Scopes: []string{"x"}, Hint: "new", CreatedAt: now, RevokedAt: now}

	old, heir, err := key.ReplacedBy(now, now.Add(time.Hour), next)
	require.NoError(t, err)
	assert.Equal(t, now.Add(time.Hour), old.ExpiresAt)
	assert.Equal(t, apikey.Key{ID: "2", Name: "n", Owner: "o", Scopes: []string{"s"}, Metadata: map[string]string{"k": "v"},
		Hint: "new", Replaces: "1", CreatedAt: now}, heir, "it inherits what the old key is, and is not born revoked")

	sooner := key
	sooner.ExpiresAt = now.Add(time.Minute)
	old, _, err = sooner.ReplacedBy(now, now.Add(time.Hour), next)
	require.NoError(t, err)
	assert.Equal(t, now.Add(time.Minute), old.ExpiresAt, "the old key keeps its own expiry if that is sooner")

	_, _, err = key.ReplacedBy(now, time.Time{}, next)
	assert.ErrorIs(t, err, apikey.ErrInvalid, "the old key has an end")
	_, _, err = key.ReplacedBy(now, now, apikey.Key{ID: "a b"})
	assert.ErrorIs(t, err, apikey.ErrInvalid, "the successor is validated")
	key.RevokedAt = now
	_, _, err = key.ReplacedBy(now, now, next)
	assert.ErrorIs(t, err, apikey.ErrRevoked)
}
