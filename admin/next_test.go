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
	} {
		assert.Equal(t, want, nextPage(next), next)
	}
	s := newSite(t, Options{})
	for next, want := range map[string]string{"//evil.example": "./", "keys/abc/rotate": "./keys/abc/rotate"} {
		v := s.visitor()
		a := v.post("/admin/login", "password", testPassword, "next", next)
		assert.Equal(t, want, a.Header.Get("Location"), next)
	}
	a := s.visitor().get("/admin/keys/abc/revoke?x=1")
	assert.Equal(t, "../../login?next=keys%2Fabc%2Frevoke%3Fx%3D1", a.Header.Get("Location"))
}
