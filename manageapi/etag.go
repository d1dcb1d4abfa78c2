package manageapi

import (
	"slices"
	"strings"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

func (c *call) setTag(k apikey.Key) { c.w.Header().Set("ETag", `"`+manage.Version(k)+`"`) }

// tagsMatch reports whether the lines of If-Match or If-None-Match name the version of a key (RFC 9110
// sections 13.1.1 and 13.1.2). It ignores whether a tag is weak.
func tagsMatch(lines []string, k apikey.Key) bool {
	want := `"` + manage.Version(k) + `"`
	return slices.ContainsFunc(strings.Split(strings.Join(lines, ","), ","), func(tag string) bool {
		tag = strings.TrimSpace(tag)
		return tag == "*" || strings.TrimPrefix(tag, "W/") == want
	})
}

// expected returns the version that If-Match demands, and "" without If-Match. The error is
// [manage.ErrChanged] if the key has another version.
func (c *call) expected() (version string, err error) {
	lines, ok := c.r.Header["If-Match"]
	if !ok {
		return "", nil
	}
	key, err := c.session.Get(c.r.Context(), c.id)
	if err != nil {
		return "", err
	}
	if !tagsMatch(lines, key) {
		return "", manage.ErrChanged
	}
	return manage.Version(key), nil
}
