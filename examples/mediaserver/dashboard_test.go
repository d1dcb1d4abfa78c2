package main

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/examples/internal/program"
	"github.com/latchkey-dev/apikey/manage"
)

// A browser uses the dashboard like a browser without JavaScript.
type browser struct {
	t      *testing.T
	client *http.Client
	base   string
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

func (b *browser) read(response *http.Response, err error) string {
	b.t.Helper()
	require.NoError(b.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(b.t, err)
	require.Equal(b.t, http.StatusOK, response.StatusCode, string(body))
	return string(body)
}

func (b *browser) open(path string) string { b.t.Helper(); return b.read(b.client.Get(b.base + path)) }

// send submits a form with the hidden fields of its page.
func (b *browser) send(path string, form url.Values) string {
	b.t.Helper()
	for _, field := range hiddenField.FindAllStringSubmatch(b.open(path), -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	r, err := http.NewRequestWithContext(b.t.Context(), "POST", b.base+path, strings.NewReader(form.Encode()))
	require.NoError(b.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.read(b.client.Do(r))
}

func TestDashboardAndAPIManageTheSameKeys(t *testing.T) {
	database := filepath.Join(t.TempDir(), "keys.db")
	manager := program.Start(t, "-db", database, "-issue", "Manager", "-scopes", manage.ScopeManage).Line("ak_")
	p := program.Start(t, "-addr", "localhost:0", "-db", database)
	line := p.Line("The dashboard is at ")
	found := regexp.MustCompile(`at (http://\S+)/admin/, with the password (\S+),`).FindStringSubmatch(line)
	require.Len(t, found, 3, line)
	base, password := found[1], found[2]
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	b := &browser{t, &http.Client{Jar: jar}, base + "/admin/"}
	curl := func(args string) string {
		return program.Curl(t, "curl -H 'X-Emby-Token: "+manager+"' "+args)
	}

	b.send("login", url.Values{"password": {password}})
	clicked := regexp.MustCompile(`ak_[0-9A-Za-z]{36}`).FindString(b.send("add", url.Values{"name": {"Clicked"}, "expiry": {"30"}}))
	require.NotEmpty(t, clicked)
	created := curl("-X POST '" + base + "/Auth/Keys?App=Curled'")
	assert.Contains(t, created, `"AppName":"Curled"`)

	listed := curl(base + "/emby/Auth/Keys")
	shown := b.open("")
	for _, name := range []string{"Manager", "Clicked", "Curled"} {
		assert.Contains(t, listed, `"AppName":"`+name+`"`)
		assert.Contains(t, shown, "<bdi>"+name+"</bdi>")
	}
	assert.Contains(t, program.Curl(t, "curl '"+base+"/emby/System/Info?api_key="+clicked+"'"), "ServerName")

	curl("-X DELETE " + base + "/Auth/Keys/" + clicked)
	assert.Contains(t, program.Curl(t, "curl '"+base+"/emby/System/Info?api_key="+clicked+"'"), `"status":401`)
	assert.Contains(t, b.open("?status=revoked"), "<bdi>Clicked</bdi>")
	id := regexp.MustCompile(`href="\./keys/([^"]+)"><bdi>Curled`).FindStringSubmatch(shown)
	require.Len(t, id, 2)
	b.send("keys/"+id[1]+"/revoke", url.Values{})
	assert.NotContains(t, curl(base+"/Auth/Keys"), "Curled")
	history := b.open("keys/" + id[1])
	assert.Contains(t, history, "API key Manager")
	assert.Contains(t, history, "<bdi>administrator</bdi>")
}
