package admin

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestTextsAreComplete(t *testing.T) {
	t.Parallel()
	german, err := (&Text{Lang: "de", LogIn: "Anmelden", DaysAgo: "vor %d Tagen"}).complete()
	require.NoError(t, err)
	assert.Equal(t, "Anmelden", german.LogIn)
	assert.Equal(t, "Log out", german.LogOut)
	for name, text := range map[string]Text{
		"a verb that is missing":  {DaysAgo: "vor Tagen"},
		"a verb of another kind":  {DaysAgo: "vor %s Tagen"},
		"a verb that is too much": {LogIn: "100%d"},
		"a direction":             {Dir: "up"},
		"a locale of POSIX":       {Lang: "de_DE"},
		"a language with more":    {Lang: `de" onload="x`},
	} {
		_, err := text.complete()
		assert.ErrorIs(t, err, apikey.ErrInvalid, name)
	}
	s := newSite(t, Options{Text: &Text{Lang: "ar", Dir: "rtl"}})
	assert.Contains(t, s.visitor().get("/admin/login").body, `<html lang="ar" dir="rtl">`)
}

func TestWhatIsFilledInKeepsItsDirection(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Text: &Text{Lang: "ar", Dir: "rtl"}})
	v := s.visitor()
	v.login()
	_, key := s.issue("Backup job")
	page := v.get("/admin/keys/" + key.ID).body
	assert.Regexp(t, `<bdi class="exact" dir="ltr">\d{4}-\d\d-\d\d \d\d:\d\d UTC</bdi>`, page)
	assert.Contains(t, page, `<code class="hint" dir="ltr">`+key.Hint)
	assert.Contains(t, v.get("/admin/keys/"+key.ID+"/revoke").body, "Revoke “"+isolate("Backup job")+"”?")
	rotated := v.post("/admin/keys/"+key.ID+"/rotate", "grace", "24h").body
	assert.Regexp(t, "until \u2068[-0-9: ]+UTC\u2069", rotated)
	for _, lang := range []string{"de", "pt-BR", "zh-Hant-TW", "es-419"} {
		_, err := (&Text{Lang: lang}).complete()
		assert.NoError(t, err, lang)
	}
}
