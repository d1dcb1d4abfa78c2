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
	} {
		_, err := text.complete()
		assert.ErrorIs(t, err, apikey.ErrInvalid, name)
	}
	s := newSite(t, Options{Text: &Text{Lang: "ar", Dir: "rtl"}})
	assert.Contains(t, s.visitor().get("/admin/login").body, `<html lang="ar" dir="rtl">`)
}
