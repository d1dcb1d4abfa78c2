package main

import (
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

	"github.com/latchkey-dev/apikey/emby"
	"github.com/latchkey-dev/apikey/examples/internal/program"
)

// A clicker goes through the dashboard as a browser without a script does.
type clicker struct {
	t      *testing.T
	client *http.Client
	base   string
}

var token = regexp.MustCompile(`name="token" value="([^"]+)"`)

func (c *clicker) read(response *http.Response, err error) string {
	c.t.Helper()
	require.NoError(c.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(c.t, err)
	require.Equal(c.t, http.StatusOK, response.StatusCode, string(body))
	return string(body)
}

func (c *clicker) open(path string) string { c.t.Helper(); return c.read(c.client.Get(c.base + path)) }

// send fills in the last form of a page.
func (c *clicker) send(path string, form url.Values) string {
	c.t.Helper()
	tokens := token.FindAllStringSubmatch(c.open(path), -1)
	require.NotEmpty(c.t, tokens)
	form.Set("token", tokens[len(tokens)-1][1])
	return c.read(c.client.PostForm(c.base+path, form))
}

// By curl and by clicking one manages the same keys.
func TestTheDashboardAndTheAPIShowTheSameKeys(t *testing.T) {
	database := filepath.Join(t.TempDir(), "keys.db")
	manager := program.Start(t, "-db", database, "-issue", "Manager", "-scopes", emby.ScopeManage).Line("ak_")
	p := program.Start(t, "-addr", "localhost:0", "-db", database)
	line := p.Line("The dashboard is at ")
	found := regexp.MustCompile(`at (http://\S+)/admin/, with the password (\S+),`).FindStringSubmatch(line)
	require.Len(t, found, 3, line)
	base, password := found[1], found[2]
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	c := &clicker{t, &http.Client{Jar: jar}, base + "/admin/"}
	curl := func(args string) string {
		return program.Curl(t, "curl -H 'X-Emby-Token: "+manager+"' "+args)
	}

	c.send("login", url.Values{"password": {password}})
	clicked := regexp.MustCompile(`ak_[0-9A-Za-z]{36}`).FindString(c.send("add", url.Values{"name": {"Clicked"}, "expiry": {"30"}}))
	require.NotEmpty(t, clicked)
	made := curl("-X POST '" + base + "/Auth/Keys?App=Curled'")
	assert.Contains(t, made, `"AppName":"Curled"`)

	listed := curl(base + "/emby/Auth/Keys")
	shown := c.open("")
	for _, name := range []string{"Manager", "Clicked", "Curled"} {
		assert.Contains(t, listed, `"AppName":"`+name+`"`)
		assert.Contains(t, shown, "<bdi>"+name+"</bdi>")
	}
	assert.Contains(t, program.Curl(t, "curl '"+base+"/emby/System/Info?api_key="+clicked+"'"), "ServerName")

	curl("-X DELETE " + base + "/Auth/Keys/" + clicked)
	assert.Contains(t, program.Curl(t, "curl '"+base+"/emby/System/Info?api_key="+clicked+"'"), `"status":401`)
	assert.Contains(t, c.open("?status=revoked"), "<bdi>Clicked</bdi>")
	id := regexp.MustCompile(`href="\./keys/([^"]+)"><bdi>Curled`).FindStringSubmatch(shown)
	require.Len(t, id, 2)
	c.send("keys/"+id[1]+"/revoke", url.Values{})
	assert.NotContains(t, curl(base+"/Auth/Keys"), "Curled")
	history := c.open("keys/" + id[1])
	assert.Contains(t, history, "API key Manager")
	assert.Contains(t, history, "<bdi>administrator</bdi>")
}

func TestTheDashboardNeedsAPasswordThatIsOne(t *testing.T) {
	for password, complaint := range map[string]string{"short": "at least 8 characters", strings.Repeat(" ", 12): "empty"} {
		t.Setenv(passwordVariable, password)
		_, err := withDashboard(http.NotFoundHandler(), nil, "http://localhost", io.Discard)
		require.ErrorContains(t, err, passwordVariable)
		require.ErrorContains(t, err, complaint)
	}
}
