package browsertest

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestLimitsOfAKey(t *testing.T) {
	b, s, first := atHome(t)
	// A refill takes hours, so that a slow browser sees none.
	_, key, err := s.issuer.Issue(apikey.WithActor(t.Context(), "administrator"), apikey.NewKey{Name: "Backup job", Scopes: []string{"library:read"}, Limits: []apikey.Limit{
		{Name: "rate", Requests: 10, Per: 24 * time.Hour, Burst: 20}, {Name: "hourly", Requests: 100, Per: time.Hour}, {Name: "quota", Requests: 10_000, Calendar: "month"},
	}})
	require.NoError(t, err)
	require.NoError(t, s.limits.Take(t.Context(), &key, 20))
	widths := []int64{320, 1280}
	b.open(first + "keys/" + key.ID + "/edit")
	b.fill("#limits", "rate=10")
	b.press("form.card .primary")
	assert.Contains(t, b.text("#limits-problem"), "is not a limit. Enter limits such as “api=100/1m”")
	b.inspectAt(widths, "limits-wrong")
	b.fill("#limits", "rate=10/24h+20 quota=10000/month")
	b.press("form.card .primary")
	assert.Contains(t, b.text(".facts"), "0 of 20")
	assert.Contains(t, b.text(".facts"), "9980 of 10000")
	b.inspectAt(widths, "limits-key")
	b.requireQuiet(answered(http.StatusUnprocessableEntity))
}
