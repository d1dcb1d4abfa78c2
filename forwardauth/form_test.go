package forwardauth_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/forwardauth"
)

func TestAFormThatAnOuterHandlerParsedIsDropped(t *testing.T) {
	t.Parallel()
	for _, d := range dialects {
		o := d.options
		o.Trusted = trusted
		seen := ""
		restore, err := forwardauth.Restore(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.FormValue("library") }), o)
		require.NoError(t, err)
		r := d.ask("GET", "/books?library=5")
		r.URL.RawQuery = "library=6"
		require.NoError(t, r.ParseForm())
		(&service{handler: restore}).answer(r)
		assert.Equal(t, "5", seen, d.name)
	}
}
