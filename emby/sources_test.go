package emby_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey"
)

func TestSources(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	raw := s.listen(t, s.auth.Handler(s.mux))
	for _, test := range []struct {
		name, request string
		status        int
	}{
		{"X-Emby-Token", "GET /System/Info\nX-Emby-Token: {K}", 200},
		{"x-emby-token", "GET /System/Info\nx-emby-token: {K}", 200},
		{"X-MediaBrowser-Token", "GET /System/Info\nX-MediaBrowser-Token: {K}", 200},
		{"api_key", "GET /System/Info?api_key={K}", 200},
		{"API_KEY", "GET /System/Info?API_KEY={K}", 200},
		{"ApiKey", "GET /System/Info?ApiKey={K}", 200},
		{"apikey", "GET /System/Info?apikey={K}", 200},
		{"X-Emby-Token in the query", "GET /System/Info?X-Emby-Token={K}", 200},
		{"x-emby-token in the query", "GET /System/Info?x-emby-token={K}", 200},
		{"X-MediaBrowser-Token in the query", "GET /System/Info?X-MediaBrowser-Token={K}", 200},
		{"X-MEDIABROWSER-TOKEN in the query", "GET /System/Info?X-MEDIABROWSER-TOKEN={K}", 200},

		{"MediaBrowser, in quotes", `GET /System/Info` + "\n" + `Authorization: MediaBrowser Token="{K}"`, 200},
		{"MediaBrowser, without quotes", "GET /System/Info\nAuthorization: MediaBrowser Token={K}", 200},
		{"mediabrowser in lower case", "GET /System/Info\nAuthorization: mediabrowser Token=\"{K}\"", 200},
		{"token in lower case", "GET /System/Info\nAuthorization: MediaBrowser token=\"{K}\"", 200},
		{"Emby", "GET /System/Info\nAuthorization: Emby UserId=\"u\", Token=\"{K}\"", 200},
		{"all parameters of a client", "GET /System/Info\nAuthorization: MediaBrowser Client=\"Web\", Device=\"Firefox\", DeviceId=\"TW96aWxsYQ==\", Version=\"10.11.0\", Token=\"{K}\"", 200},
		{"the token first", "GET /System/Info\nAuthorization: MediaBrowser Token=\"{K}\", Client=\"Web\"", 200},
		{"no space after commas", "GET /System/Info\nAuthorization: MediaBrowser Client=\"Web\",Token=\"{K}\"", 200},
		{"spaces around the equals sign", "GET /System/Info\nAuthorization: MediaBrowser Client = \"Web\", Token = \"{K}\"", 200},
		{"several spaces after the scheme", "GET /System/Info\nAuthorization: MediaBrowser   Token=\"{K}\"", 200},
		{"a comma in quotes", "GET /System/Info\nAuthorization: MediaBrowser Client=\"a,b\", Token=\"{K}\"", 200},
		{"inner quotes", "GET /System/Info\nAuthorization: MediaBrowser Device=\"Dev \"x\", 1\", Token=\"{K}\"", 200},
		{"Latin-1 bytes", "GET /System/Info\nAuthorization: MediaBrowser Device=\"caf\xe9\", Token=\"{K}\"", 200},
		{"an escaped value", "GET /System/Info\nAuthorization: MediaBrowser Device=\"Bob%22s%2C%20TV\", Token=\"{E}\"", 200},
		{"a token in the value of another parameter", "GET /System/Info\nAuthorization: MediaBrowser Device=\"Token={K}\"", 401},
		{"an odd number of quotes before the token", "GET /System/Info\nAuthorization: MediaBrowser Device=\"5\" disk\", Token=\"{K}\"", 400},
		{"X-Emby-Authorization", "GET /System/Info\nX-Emby-Authorization: MediaBrowser Client=\"Web\", Token=\"{K}\"", 200},
		{"X-Emby-Authorization with the scheme Emby", "GET /System/Info\nX-Emby-Authorization: Emby Token={K}", 200},

		{"no key", "GET /System/Info", 401},
		{"a wrong key", "GET /System/Info\nX-Emby-Token: {W}", 401},
		{"an unknown key", "GET /System/Info\nX-Emby-Token: {X}", 401},
		{"an unknown key in Authorization", "GET /System/Info\nAuthorization: MediaBrowser Token=\"{X}\"", 401},
		{"a valid and an unknown key", "GET /System/Info?api_key={X}\nX-Emby-Token: {K}", 400},
		{"a wrong key in Authorization", "GET /System/Info\nAuthorization: MediaBrowser Token=\"{W}\"", 401},
		{"a revoked key", "GET /System/Info\nX-Emby-Token: {R}", 401},
		{"Bearer", "GET /System/Info\nAuthorization: Bearer {K}", 401},
		{"X-API-Key", "GET /System/Info\nX-API-Key: {K}", 401},
		{"MediaBrowser without parameters", "GET /System/Info\nAuthorization: MediaBrowser", 401},
		{"MediaBrowser and a bare key", "GET /System/Info\nAuthorization: MediaBrowser {K}", 401},
		{"a scheme that begins with MediaBrowser", "GET /System/Info\nAuthorization: MediaBrowserX Token=\"{K}\"", 401},

		{"an empty header beside the query", "GET /System/Info?api_key={K}\nX-Emby-Token:", 200},
		{"an empty token beside a header", "GET /System/Info\nAuthorization: MediaBrowser Token=\"\"\nX-Emby-Token: {K}", 200},
		{"a space as token beside a header", "GET /System/Info\nAuthorization: MediaBrowser Token=\" \"\nX-Emby-Token: {K}", 200},
		{"a proxy's login beside a header", "GET /System/Info\nAuthorization: Basic dTpw\nX-Emby-Token: {K}", 200},
		{"a proxy's login beside another line", "GET /System/Info\nAuthorization: Basic dTpw\nAuthorization: MediaBrowser Token=\"{K}\"", 200},
		{"the same key everywhere", "GET /System/Info?api_key={K}&ApiKey={K}\nX-Emby-Token: {K}\nX-MediaBrowser-Token: {K}\nAuthorization: MediaBrowser Token={K}\nX-Emby-Authorization: Emby Token={K}", 200},

		{"two keys, header and query", "GET /System/Info?api_key={W}\nX-Emby-Token: {K}", 400},
		{"two keys, the two headers", "GET /System/Info\nX-Emby-Token: {K}\nX-MediaBrowser-Token: {W}", 400},
		{"two keys, the two parameters", "GET /System/Info?api_key={K}&ApiKey={W}", 400},
		{"two keys, header and X-Emby-Token in the query", "GET /System/Info?X-Emby-Token={W}\nX-Emby-Token: {K}", 400},
		{"two keys, header and x-mediabrowser-token in the query", "GET /System/Info?x-mediabrowser-token={W}\nX-Emby-Token: {K}", 400},
		{"two keys, X-Emby-Token and api_key in the query", "GET /System/Info?X-Emby-Token={K}&api_key={W}", 400},
		{"two keys, one of them after an empty token", "GET /System/Info\nX-Emby-Token: {K}\nAuthorization: MediaBrowser Token=,{W}", 400},
		{"two keys, one of them after an empty token in the next line", "GET /System/Info\nX-Emby-Token: {K}\nAuthorization: MediaBrowser Token=\nAuthorization: {W}", 400},
		{"two keys, one of them in a line that a proxy joined", "GET /System/Info\nX-Emby-Token: {K}\nAuthorization: Basic dTpw, MediaBrowser Token={W}", 400},
		{"two keys, one of them after a tab", "GET /System/Info\nX-Emby-Token: {K}\nAuthorization: MediaBrowser\tToken={W}", 400},
		{"two keys in one Authorization", "GET /System/Info\nAuthorization: MediaBrowser Token=\"{K}\", Token=\"{W}\"", 400},
		{"two keys, one of them for a parser that splits at every comma", "GET /System/Info\nAuthorization: MediaBrowser Device=\"x, Token={W}, y\", Token=\"{K}\"", 400},
		{"two keys, one of them after an odd number of quotes", "GET /System/Info\nX-Emby-Token: {K}\nAuthorization: MediaBrowser Device=\"5\" disk\", Token=\"{W}\"", 400},
		{"two keys in two lines of Authorization", "GET /System/Info\nAuthorization: Emby Token={W}\nAuthorization: Emby Token={K}", 400},
		{"two keys in the two Authorizations", "GET /System/Info\nAuthorization: Emby Token={K}\nX-Emby-Authorization: Emby Token={M}", 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			res := raw(t, test.request)
			assert.Equal(t, test.status, res.StatusCode, res.body)
			if res.StatusCode == 200 {
				assert.Equal(t, "Plain /System/Info", res.body, "the handler sees no key")
			}
		})
	}
}

func TestRedactURI(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	for _, name := range []string{"api_key", "ApiKey", "API_KEY", "apikey", "X-Emby-Token", "x-emby-token", "X-MediaBrowser-Token", "x-mediabrowser-token"} {
		assert.Equal(t, "/emby/System/Info?a=1&"+name+"=REDACTED", s.auth.RedactURI("/emby/System/Info?a=1&"+name+"="+wrong))
	}
}

func TestRemoveKeys(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	r := httptest.NewRequest("GET", "/System/Info?ApiKey="+s.good+"&a=1&api_key="+s.good+"&X-Emby-Token="+s.good+"&x-mediabrowser-token="+s.good, nil)
	token := `MediaBrowser Client="Web", Token="` + s.good + `"`
	r.Header = http.Header{
		"X-Emby-Token": {s.good}, "X-Mediabrowser-Token": {s.good},
		"Authorization": {token}, "X-Emby-Authorization": {token}, "Accept": {"*/*"},
	}
	s.auth.RemoveKeys(r)
	assert.Equal(t, http.Header{"Accept": {"*/*"}}, r.Header)
	assert.Equal(t, "a=1", r.URL.RawQuery)

	r.Header = http.Header{"Authorization": {"Basic dTpw"}, "X-Emby-Authorization": {`MediaBrowser Client="Web"`}}
	want := r.Header.Clone()
	s.auth.RemoveKeys(r)
	assert.Equal(t, want, r.Header, "fields without a key stay")
}

// One server reads a text as a part of a value, another as a key. The Middleware refuses such a
// request, and RemoveKeys removes the field.
func TestAmbiguousCredentials(t *testing.T) {
	t.Parallel()
	authorized := 0
	s := newService(t, apikey.Options{Authorize: func(*http.Request, *apikey.Key) error {
		authorized++
		return nil
	}})
	for _, field := range []string{"Authorization", "X-Emby-Authorization"} {
		for _, line := range []string{
			`MediaBrowser Device="5" disk", Token="` + wrong + `"`,
			`Emby Device="x, Token=` + wrong + `, y"`,
			`Emby Device=Token=` + wrong,
			`Emby Token="` + s.good + `,` + wrong + `"`,
			`Emby Token=,` + wrong,
			`Emby Token=, "` + wrong + `"`,
			`Emby Token=` + s.good + `, Token=,` + wrong,
			`Emby Device=x Token=` + wrong,
			`Basic dTpw, Emby Token=` + wrong,
			"Emby\tToken=" + wrong,
			"Emby \u00a0Token=" + wrong,
		} {
			r := httptest.NewRequest("GET", "/System/Info", nil)
			r.Header.Set("X-Emby-Token", s.good)
			r.Header.Set(field, line)
			w := httptest.NewRecorder()
			s.auth.Handler(s.mux).ServeHTTP(w, r)
			assert.Equal(t, http.StatusBadRequest, w.Code, line)
			s.auth.RemoveKeys(r)
			assert.Empty(t, r.Header, line)
		}
	}
	assert.Zero(t, authorized, "calls of Authorize")
}

func TestEventsNameTheSource(t *testing.T) {
	t.Parallel()
	var seen []string
	s := newService(t, apikey.Options{Observe: observe(&seen)})
	for field, value := range map[string]string{"Authorization": "MediaBrowser Token=", "X-Emby-Authorization": "Emby Token="} {
		r := httptest.NewRequest("GET", "/System/Info", nil)
		r.Header.Set(field, value+s.good)
		s.auth.Handler(s.mux).ServeHTTP(httptest.NewRecorder(), r)
	}
	assert.ElementsMatch(t, []string{"scheme MediaBrowser", "header X-Emby-Authorization"}, seen)
	assert.NotContains(t, strings.Join(seen, " "), "ak_")
}
