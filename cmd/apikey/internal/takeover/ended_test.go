package takeover

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// bare has a record of each system with the required columns and without times.
var bare = map[string]record{
	"grafana":     {"id": "1", "key": grafanaHash, "service_account_id": "3", "is_revoked": int64(1)},
	"django":      {"id": "1", "prefix": "Ab3dEf6h", "hashed_key": sha512Hash, "revoked": "t"},
	"unkey":       {"id": "1", "hash": strings.Repeat("ab", 32), "enabled": false},
	"better-auth": {"id": "1", "key": strings.Repeat("a", 43), "enabled": int64(0)},
	"litellm":     {"token": strings.Repeat("ab", 32), "blocked": "true"},
}

func TestARevokedOrDisabledKeyIsNotRevivedForLackOfATime(t *testing.T) {
	t.Parallel()
	for name, r := range bare {
		out, _ := systems[name].row(r)
		assert.True(t, !out.key.RevokedAt.IsZero() || !out.key.SuspendedAt.IsZero(), name)
	}
}

func TestAnUnreadableExpiryIsAProblem(t *testing.T) {
	t.Parallel()
	for name, columns := range map[string][]string{
		"grafana": {"expires"}, "django": {"expiry_date"}, "unkey": {"expires", "deleted_at_m"}, "better-auth": {"expiresAt"}, "litellm": {"expires"},
		"kong": {"ttl"}, "gitea": {"expires_at"}, "vikunja": {"expires_at"}, "sanctum": {"expires_at"}, "strapi": {"expires_at"},
	} {
		for _, column := range columns {
			for value, want := range map[string]bool{
				"31.12.2020": true, "NaN": true, "-infinity": true, "1900-01-01 00:00:00": true, "1969-12-31": true, "-1": true, "-1e30": true,
				"2037-01-31 00:00:00": false, "": false, "0": false, "infinity": false, "0001-01-01T00:00:00Z": false,
			} {
				column = strings.ToLower(column)
				out, _ := systems[name].rowOf([]string{column}, []any{value}, 1)
				assert.Equal(t, want, strings.HasPrefix(out.problem, "column "+column+" "), "%s.%s: %q", name, column, value)
			}
		}
	}
}

func TestAKeyOfAFileThatEndedBefore1970IsAProblem(t *testing.T) {
	t.Parallel()
	for _, field := range []string{"expires_at", "revoked_at", "suspended_at"} {
		out := fileRow(map[string]string{"key": strings.Repeat("a", 32), field: "1900-01-01"}, 1)
		assert.Equal(t, field+": want a time after 1970, such as 2027-01-31T00:00:00Z", out.problem)
	}
}

func TestARateThatIsNotImportedIsReported(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]record{
		"better-auth": {"id": "1", "key": strings.Repeat("a", 43), "ratelimitenabled": int64(1), "ratelimitmax": int64(10)},
		"litellm":     {"token": strings.Repeat("ab", 32), "rpm_limit": int64(10)},
	} {
		out, _ := systems[name].row(r)
		assert.Contains(t, strings.Join(out.notes, " "), "not imported; set a limit", name)
	}
}
