package admin

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/manage"
)

func TestKeyBeyondTheAccessSaysWhyItCannotBeRotated(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := s.as("owner")
	why := "because it has the scope “" + isolate("refunds") + "”, which you cannot give."
	page := v.get("/admin/keys/" + s.wide.ID).body
	assert.Contains(t, page, why)
	assert.Contains(t, page, `<button type="button" disabled aria-describedby="rotate">`)
	assert.NotContains(t, page, "/rotate")
	assert.NotContains(t, v.get("/admin/").body, s.wide.ID+"/rotate")
	form := v.get("/admin/keys/" + s.wide.ID + "/edit").body
	assert.Contains(t, form, "This key has the scope “"+isolate("refunds")+"”, which you cannot give. You can take rights from the key,")
	assert.Contains(t, form, `name="expiry" value="7"`, "the key may end sooner")
	assert.NotContains(t, form, `name="expiry" value="90"`)
	assert.NotContains(t, s.as("administrator").get("/admin/keys/"+s.wide.ID).body, why)
}

func TestOwnerWhoMayNotResumeIsTold(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := s.as("owner")
	path := "/admin/keys/" + s.alices.ID
	assert.Contains(t, v.get(path+"/suspend").body, "You cannot resume it yourself.")
	require.Equal(t, http.StatusSeeOther, v.do("POST", path+"/suspend", "").StatusCode)
	page := v.get(path).body
	assert.Contains(t, page, "You cannot resume this key.")
	assert.NotContains(t, page, "/resume")
	assert.Contains(t, s.as("administrator").get(path).body, "/resume")
}

func TestRefusalStandsInTheForm(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := s.as("owner")
	a := v.post("/admin/add", "name", "New", "expiry", "30", "scope", "refunds")
	assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
	assert.Contains(t, a.body, `<li><a href="#scopes">`)
	assert.Contains(t, a.body, `id="scopes" aria-invalid="true" aria-describedby="scopes-problem"`)
	assert.Contains(t, a.body, `id="scopes-problem"`)
	assert.Contains(t, a.body, `value="New"`)
	a = v.edit(s.alices.ID, "scope", "refunds")
	assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
	assert.Contains(t, a.body, `<li><a href="#scopes">`)
}

func TestRefusalIsTranslatedByItsRule(t *testing.T) {
	t.Parallel()
	german := map[string]string{
		"You can view keys, but not change them.": "nur lesen", "You cannot give all of these scopes.": "Rechte", "The key would be valid for too long.": "zu lange",
		"You have reached the maximum number of keys. Revoke a key to add another one.": "zu viele", "You can manage only your own keys.": "fremd",
		"You cannot resume this key.": "gesperrt", "The key must be restricted to these networks: %s.": "Netze %s", "You cannot change the limits of a key.": "Grenzen",
	}
	var translated texts
	require.NoError(t, translated.load(func(english string) string { return german[english] }, goTexts))
	v := inEnglish(time.Now())
	for rule, want := range map[manage.Rule]string{
		manage.RuleReadOnly: "nur lesen", manage.RuleScopes: "Rechte", manage.RuleLifetime: "zu lange", manage.RuleKeys: "zu viele", manage.RuleOwner: "fremd",
		manage.RuleResume: "gesperrt", manage.RuleNetworks: "Netze " + isolate(""), manage.RuleLimits: "Grenzen", "another": "In English.",
	} {
		refused := &manage.RefusedError{Rule: rule, Problem: "In English."}
		v.h.texts = &texts{}
		assert.Equal(t, "In English.", v.refusal(refused), rule)
		v.h.texts = &translated
		assert.Equal(t, want, v.refusal(refused), rule)
	}
}

func TestRefusalsDoNotLinkToAListThatIsRefusedToo(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const back = "Back to API keys"
	for _, path := range []string{"", "add", "keys/" + s.alices.ID} {
		denied := s.as("nobody").get("/admin/" + path)
		assert.Equal(t, http.StatusForbidden, denied.StatusCode, path)
		assert.NotContains(t, denied.body, back, path)
	}
	assert.Contains(t, s.as("auditor").get("/admin/add").body, back, "an auditor may see the list")
	s.handler.hosts = []string{"keys.example.com"}
	assert.NotContains(t, s.as("owner").get("/admin/").body, back, "another host")
}
