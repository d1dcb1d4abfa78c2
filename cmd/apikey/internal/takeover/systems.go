package takeover

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/sha256text"
)

// A system is another system whose keys are in a table.
type system struct {
	name string
	// tables are the names of the table in different versions; the first that exists is read.
	tables []string
	// query selects from the table, whose name replaces %s; "" selects all columns.
	query string
	// required are the columns that the table must have.
	required []string
	// row returns the key of a record, or false if the record is not an API key.
	row func(r record) (row, bool)
}

// systems are the systems that import knows, by the name of --from.
var systems = map[string]system{}

func register(s system) { systems[s.name] = s }

func init() {
	// Emby and Jellyfin store keys in plain text. The same table has the tokens of users, which are
	// sessions and not keys.
	media := func(r record) (row, bool) {
		out := row{id: r.first("Id"), key: apikey.ImportedKey{
			Secret: apikey.NewSecret(r.text("AccessToken")), Name: r.first("AppName", "Name"), CreatedAt: r.time("DateCreated"),
		}}
		isLiveKey := r.text("UserId") == "" && r.boolean("IsActive", true) && r.text("DateRevoked") == ""
		return out, isLiveKey
	}
	// Jellyfin does not maintain DateLastActivity of API keys.
	register(system{name: "jellyfin", tables: []string{"ApiKeys", "Tokens"}, required: []string{"AccessToken"}, row: media})
	register(system{name: "emby", tables: []string{"Tokens_2", "Tokens", "AccessTokens"}, required: []string{"AccessToken", "AppName", "UserId", "IsActive"}, row: media})

	register(system{name: "unkey", tables: []string{"keys"}, required: []string{"id", "hash"}, row: unkeyRow})
	register(system{name: "better-auth", tables: []string{"apikey"}, required: []string{"id", "key"}, row: betterAuthRow})
	register(system{name: "litellm", tables: []string{"LiteLLM_VerificationToken"}, required: []string{"token"}, row: litellmRow})
	register(system{
		name: "kong", tables: []string{"keyauth_credentials"}, required: []string{"id", "key"},
		query: "SELECT k.*, c.username AS consumer_username, c.custom_id AS consumer_custom_id FROM %s k LEFT JOIN consumers c ON c.id = k.consumer_id",
		row: func(r record) (row, bool) {
			return row{id: r.text("id"), key: apikey.ImportedKey{
				Secret: apikey.NewSecret(r.text("key")), Name: r.first("consumer_username", "consumer_custom_id"),
				Owner: r.first("consumer_custom_id", "consumer_username", "consumer_id"), CreatedAt: r.time("created_at"), ExpiresAt: r.time("ttl"),
			}}, true
		},
	})
}

// withDigest sets the digest of a row, or its problem.
func withDigest(r row, text string) row {
	var err error
	if r.key.SHA256, err = sha256text.Parse(text); err != nil {
		r.problem = "the digest is " + err.Error()
	}
	return r
}

// suspend suspends the key of a row if it is not enabled.
func (r *row) suspend(enabled bool, at time.Time) {
	if enabled {
		return
	}
	if at.IsZero() {
		at = time.Now()
	}
	r.key.SuspendedAt = at
}

func unkeyRow(r record) (row, bool) {
	out := row{id: r.text("id"), key: apikey.ImportedKey{
		Name: r.text("name"), Owner: r.first("identity_id", "owner_id"), Hint: hint(r.text("start")),
		CreatedAt: r.time("created_at_m"), ExpiresAt: r.time("expires"), RevokedAt: r.time("deleted_at_m"), LastUsedAt: r.time("last_used_at"),
	}}
	out.suspend(r.boolean("enabled", true), r.time("updated_at_m"))
	if r.text("remaining_requests") != "" {
		out.note("the remaining requests are not imported; set a limit")
	}
	if r.text("pending_migration_id") != "" {
		out.problem = "the hash is from a third system; issue a new key"
		return out, true
	}
	return withDigest(out, r.text("hash")), true
}

func betterAuthRow(r record) (row, bool) {
	out := row{id: r.text("id"), key: apikey.ImportedKey{
		Name: r.text("name"), Owner: r.first("referenceId", "userId"), Hint: hint(r.text("start")),
		CreatedAt: r.time("createdAt"), ExpiresAt: r.time("expiresAt"), LastUsedAt: r.time("lastRequest"),
	}}
	out.suspend(r.boolean("enabled", true), r.time("updatedAt"))
	if r.text("remaining") != "" {
		out.note("the remaining requests are not imported; set a limit")
	}
	if r.boolean("rateLimitEnabled", false) {
		out.note("the rate limit is not imported; set a limit")
	}
	var permissions map[string][]string
	json.Unmarshal([]byte(r.text("permissions")), &permissions) // malformed text means no permissions
	for resource, actions := range permissions {
		for _, a := range actions {
			out.scopes = append(out.scopes, resource+":"+a)
		}
	}
	slices.Sort(out.scopes)
	// The option disableKeyHashing stores keys in plain text.
	if key := r.text("key"); len(key) == 43 {
		out = withDigest(out, key)
	} else {
		out.key.Secret, out.key.Hint = apikey.NewSecret(key), ""
	}
	return out, true
}

func litellmRow(r record) (row, bool) {
	out := row{id: r.text("token"), scopes: r.list("models"), key: apikey.ImportedKey{
		Name: r.first("key_alias", "key_name"), Owner: r.first("user_id", "team_id"), Hint: r.text("key_name"),
		CreatedAt: r.time("created_at"), ExpiresAt: r.time("expires"), LastUsedAt: r.time("last_active"),
	}}
	out.suspend(!r.boolean("blocked", false), r.time("updated_at"))
	if r.first("max_budget", "tpm_limit", "rpm_limit") != "" {
		out.note("budgets and rates are not imported; set a limit")
	}
	// The digest would identify the key in the metadata and in reports.
	out = withDigest(out, out.id)
	if len(out.id) > idLen {
		out.id = out.id[:idLen]
	}
	return out, true
}

const idLen = 16 // characters

// hint returns the hint of a key from its first characters.
func hint(start string) string {
	if start == "" {
		return ""
	}
	return start + "…"
}
