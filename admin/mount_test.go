package admin

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestLinksAreRightUnderAnyPrefixAndHost(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	v.login()
	v.header.Set("Cookie", v.cookies()[0].String()) // the jar goes by the Host
	v.header.Set("Host", "evil.example")
	v.header.Set("X-Forwarded-Host", "evil.example")
	for path, link := range map[string]string{
		"/admin/": `href="./add"`, "/admin/add": `action="./add"`, "/admin/keys/" + key.ID: `href="../keys/` + key.ID + `/rotate"`,
		"/admin/keys/" + key.ID + "/revoke": `action="../../keys/` + key.ID + `/revoke"`,
	} {
		a := v.get(path)
		assert.Contains(t, a.body, link, path)
		assert.NotContains(t, a.body, "evil.example", path)
		assert.NotRegexp(t, `(href|src|action)="(/|https?:)`, a.body, path)
	}
	a := v.post("/admin/keys/"+key.ID+"/revoke", "x", "")
	assert.Equal(t, "../"+key.ID, a.Header.Get("Location"))
	assert.Equal(t, http.StatusForbidden, func() int {
		v.header.Set("Sec-Fetch-Site", "cross-site")
		return v.do("POST", "/admin/add", "x=y").StatusCode
	}())
}
