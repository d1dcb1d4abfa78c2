package takeover

import (
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/rehash"
)

// init registers the systems that do not store the SHA-256 of a whole key. Their keys are pending until their first use.
func init() {
	for _, name := range []string{"gitea", "forgejo"} {
		register(system{name: name, tables: []string{"access_token"}, required: []string{"id", "token_hash", "token_salt", "token_last_eight"}, row: giteaRow})
	}
	register(system{name: "vikunja", tables: []string{"api_tokens"}, required: []string{"id", "token_hash", "token_salt", "token_last_eight"}, row: giteaRow})
	register(system{name: "grafana", tables: []string{"api_key"}, required: []string{"id", "key", "service_account_id"}, row: grafanaRow})
	register(system{name: "django", tables: []string{"rest_framework_api_key_apikey"}, required: []string{"prefix", "hashed_key"}, row: djangoRow})
	register(system{name: "sanctum", tables: []string{"personal_access_tokens"}, required: []string{"id", "token"}, row: sanctumRow})
	register(system{name: "strapi", tables: []string{"strapi_api_tokens"}, required: []string{"id", "access_key"}, row: strapiRow})
}

// withHash sets the hash of a row, or its problem.
func (r *row) withHash(pending rehash.Row, err error) {
	if err != nil {
		r.problem = err.Error()
		return
	}
	r.pending = &pending
}

// revoke revokes the key of a row, at the time of its creation, because the system does not store the time of the
// revocation.
func (r *row) revoke(revoked bool) {
	if !revoked {
		return
	}
	if r.key.RevokedAt = r.key.CreatedAt; r.key.RevokedAt.IsZero() {
		r.key.RevokedAt = time.Now()
	}
}

func giteaRow(r record) (row, bool) {
	out := row{id: r.text("id"), scopes: strings.FieldsFunc(r.text("scope"), func(c rune) bool { return c == ',' || c == ' ' }), key: apikey.ImportedKey{
		Name: r.first("name", "title"), Owner: r.first("uid", "owner_id"), Hint: "…" + r.text("token_last_eight"),
		CreatedAt: r.firstTime("created_unix", "created"), LastUsedAt: r.time("updated_unix"), ExpiresAt: r.time("expires_at"),
	}}
	out.withHash(rehash.GiteaRow(r.text("token_last_eight"), r.text("token_salt"), r.text("token_hash")))
	return out, true
}

func grafanaRow(r record) (row, bool) {
	out := row{id: r.text("id"), scopes: []string{r.text("role")}, key: apikey.ImportedKey{
		Name: r.text("name"), Owner: r.first("service_account_id", "org_id"),
		CreatedAt: r.time("created"), LastUsedAt: r.time("last_used_at"), ExpiresAt: r.time("expires"),
	}}
	out.revoke(r.boolean("is_revoked", false))
	if r.text("service_account_id") == "" {
		out.problem = "an API key from before service accounts; issue a new key"
		return out, true
	}
	out.withHash(rehash.GrafanaRow(r.text("key")))
	return out, true
}

func djangoRow(r record) (row, bool) {
	out := row{id: r.text("prefix"), key: apikey.ImportedKey{
		Name: r.text("name"), Hint: r.text("prefix") + ".…", CreatedAt: r.time("created"), ExpiresAt: r.time("expiry_date"),
	}}
	out.revoke(r.boolean("revoked", false))
	out.withHash(rehash.DjangoRow(r.text("prefix"), r.text("hashed_key")))
	return out, true
}

func sanctumRow(r record) (row, bool) {
	out := row{id: r.text("id"), scopes: r.list("abilities"), key: apikey.ImportedKey{
		Name: r.text("name"), CreatedAt: r.time("created_at"), LastUsedAt: r.time("last_used_at"), ExpiresAt: r.time("expires_at"),
	}}
	if id := r.text("tokenable_id"); id != "" {
		out.key.Owner = r.text("tokenable_type") + ":" + id
	}
	out.withHash(rehash.SanctumRow(r.text("id"), r.text("token")))
	return out, true
}

func strapiRow(r record) (row, bool) {
	out := row{id: r.text("id"), scopes: []string{r.text("type")}, key: apikey.ImportedKey{
		Name: r.text("name"), CreatedAt: r.time("created_at"), LastUsedAt: r.time("last_used_at"), ExpiresAt: r.time("expires_at"),
	}}
	out.withHash(rehash.StrapiRow(r.text("access_key")))
	return out, true
}
