package admin

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNextLeadsToPagesOfTheDashboardAlone(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]string{
		"": "", "add": "add", "keys/abc": "keys/abc", "keys/abc/revoke": "keys/abc/revoke", "?search=a+b&sort=name": "?search=a+b&sort=name",
		"//evil.example": "", `/\evil.example`: "", `\\evil.example`: "", "%2f%2fevil.example": "", "/%2fevil.example": "", "https://evil.example": "",
		"javascript:alert(1)": "", "data:text/html,x": "", "keys/../../x": "", "keys/abc/../../..": "", "logout": "", "login": "", "/": "", "/add": "",
		"keys/abc\r\nX: y": "", "keys//evil": "", "user@evil.example": "", "add#x": "add",
		"?api_key=SECRET&search=x": "?search=x", "?cursor=a&x=y": "?cursor=a", "add?token=x": "add",
	} {
		assert.Equal(t, want, nextPage(next), next)
	}
	s := newSite(t, Options{})
	for next, want := range map[string]string{"//evil.example": "./", "keys/abc/rotate": "./keys/abc/rotate"} {
		v := s.visitor()
		a := v.post("/admin/login", "password", testPassword, "next", next)
		assert.Equal(t, want, a.Header.Get("Location"), next)
	}
	a := s.visitor().get("/admin/keys/abc/revoke")
	assert.Equal(t, "../../login?next=keys%2Fabc%2Frevoke", a.Header.Get("Location"))
}

func TestNoKeyOfAQueryIsCopied(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	for path, want := range map[string]string{"?api_key=SECRET": "./login", "?status=active&api_key=SECRET": "./login?next=%3Fstatus%3Dactive"} {
		a := v.get("/admin/" + path)
		assert.Equal(t, want, a.Header.Get("Location"), path)
		assert.NotContains(t, v.get("/admin/login?api_key=SECRET").body, "SECRET")
	}
	for range pageSize + 1 {
		s.issue("Backup job")
	}
	v.login()
	list := v.get("/admin/?api_key=SECRET&sort=name")
	assert.Contains(t, list.body, `rel="next"`)
	assert.NotContains(t, list.body, "SECRET")
}
