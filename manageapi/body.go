package manageapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const maxBody = 64 << 10 // bytes

// members maps the names of the members of a JSON object to functions that store their values.
type members map[string]func(json.RawMessage) error

// mergePatch is the media type of a JSON merge patch (RFC 7396).
const mergePatch = "application/merge-patch+json"

// read reads the body of a request, a JSON object. It refuses members that m does not name.
func (c *call) read(m members) error {
	body, err := c.body()
	if err != nil {
		return err
	}
	media, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	patch := c.r.Method == http.MethodPatch
	switch {
	case err == nil && (media == "application/json" || patch && media == mergePatch):
		return m.parse(body)
	case patch:
		c.w.Header().Set("Accept-Patch", mergePatch+", application/json") // RFC 5789 section 2.2
		return wrongPatchType
	}
	return wrongType
}

// readOptional is like read, except that the body may be empty.
func (c *call) readOptional(m members) error {
	body, err := c.body()
	if err != nil || len(body) == 0 {
		return err
	}
	c.r.Body = io.NopCloser(bytes.NewReader(body))
	return c.read(m)
}

// body returns the body of a request. It refuses a query, because a member that a caller has put there,
// such as the grace of a rotation, would be ignored.
func (c *call) body() ([]byte, error) {
	if err := c.noParameters(); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge
	} else if err != nil {
		return nil, malformed("The body could not be read.")
	}
	return body, nil
}

// parse stores the values of the members of a JSON object.
func (m members) parse(body []byte) error {
	// encoding/json replaces invalid Unicode, so the key would get another name than the client sent.
	if !utf8.Valid(body) || !json.Valid(body) || hasLoneSurrogate(body) {
		return malformed("The body is not valid JSON.")
	}
	return each(body, func(name string, value json.RawMessage) error {
		store, ok := m[name]
		if !ok {
			return malformed("The member is unknown or cannot be set.").about(shortened(name))
		}
		if err := store(value); err != nil {
			return named(err, name)
		}
		return nil
	})
}

// hasLoneSurrogate reports whether a valid JSON text escapes half of a pair of surrogates, such as
// "\ud83d". The text is not Unicode then (RFC 8259 section 8.2).
func hasLoneSurrogate(text []byte) bool {
	escaped := func(at int) rune { // the code unit that is escaped at an offset, or 0
		if at+6 > len(text) || text[at] != '\\' || text[at+1] != 'u' {
			return 0
		}
		unit, _ := strconv.ParseUint(string(text[at+2:at+6]), 16, 16) // cannot fail: the text is valid
		return rune(unit)
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if unit := escaped(i); utf16.IsSurrogate(unit) {
			if utf16.DecodeRune(unit, escaped(i+6)) == utf8.RuneError {
				return true
			}
			i += 6
		}
		i++ // the escaped character can be another backslash
	}
	return false
}

// each calls f for each member of a JSON object. It compares names exactly, unlike encoding/json.
// The text must be valid JSON.
func each(object json.RawMessage, f func(name string, value json.RawMessage) error) error {
	d := json.NewDecoder(bytes.NewReader(object))
	if start, _ := d.Token(); start != json.Delim('{') {
		return malformed("Want a JSON object.")
	}
	seen := map[string]bool{}
	for d.More() {
		token, _ := d.Token()
		name, _ := token.(string)
		if seen[name] {
			return malformed("The member is repeated.").about(shortened(name))
		}
		seen[name] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return malformed("The body is not valid JSON.")
		}
		if err := f(name, value); err != nil {
			return err
		}
	}
	return nil
}

// named returns a problem that names the member or parameter in which it was found.
func named(err error, name string) error {
	p, ok := errors.AsType[*problem](err)
	switch {
	case !ok:
		return err
	case p.Field != "":
		name += "." + p.Field
	}
	return p.about(name)
}

// shortened returns the name of an unknown member or parameter for a response.
func shortened(name string) string {
	const most = 40
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "") + "…"
	}
	return strings.ToValidUTF8(name, "\uFFFD")
}
