package apikey_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestPatchApply(t *testing.T) {
	t.Parallel()
	key := apikey.Key{ID: "1", Name: "a", Owner: "o", Scopes: []string{"s"}, Metadata: map[string]string{"k": "v"}, ExpiresAt: time.Unix(1, 0).UTC(), RevokedAt: time.Unix(2, 0).UTC()}
	same, err := apikey.Patch{}.Apply(key, time.Now())
	require.NoError(t, err)
	assert.Equal(t, key, same, "the zero Patch changes nothing")

	name, scopes, metadata, never := "b", []string{"t"}, map[string]string(nil), time.Time{}
	changed, err := apikey.Patch{Name: &name, Scopes: &scopes, Metadata: &metadata, ExpiresAt: &never}.Apply(key, time.Now())
	require.NoError(t, err)
	assert.Equal(t, apikey.Key{ID: "1", Name: "b", Owner: "o", Scopes: []string{"t"}, RevokedAt: key.RevokedAt}, changed)
	scopes[0] = "u"
	assert.Equal(t, "t", changed.Scopes[0], "the key shares no memory with the Patch")

	blank := " "
	_, err = apikey.Patch{Name: &blank}.Apply(key, time.Now())
	assert.ErrorIs(t, err, apikey.ErrInvalid)
}
