package manageapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRequestID(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		lines []string
		want  string
		ok    bool
	}{
		{"without the field", nil, "", true},
		{"a string", []string{`"8e03978e-40d5"`}, "8e03978e-40d5", true},
		{"a string with escapes", []string{`"a\"b\\c"`}, `a"b\c`, true},
		{"a text without quotes", []string{"8e03978e-40d5"}, "8e03978e-40d5", true},
		{"spaces around", []string{` "a" `}, "a", true},
		{"100 characters", []string{strings.Repeat("x", 100)}, strings.Repeat("x", 100), true},
		{"101 characters", []string{strings.Repeat("x", 101)}, "", false},
		{"an empty field", []string{""}, "", false},
		{"an empty string", []string{`""`}, "", false},
		{"two fields", []string{"a", "a"}, "", false},
		{"a list", []string{"a, b"}, "", false},
		{"a string without its end", []string{`"a`}, "", false},
		{"a string that ends in a backslash", []string{`"a\"`}, "", false},
		{"an escape of a letter", []string{`"\a"`}, "", false},
		{"a text after the string", []string{`"a"b`}, "", false},
		{"a parameter", []string{`"a";b`}, "", false},
		{"a space within", []string{`"a b"`}, "", false},
		{"a control character", []string{"a\tb"}, "", false},
		{"a letter that is not ASCII", []string{"é"}, "", false},
	} {
		r := &http.Request{Header: http.Header{}}
		if test.lines != nil {
			r.Header["Idempotency-Key"] = test.lines
		}
		id, err := requestID(r)
		require.Equal(t, test.ok, err == nil, test.name)
		require.Equal(t, test.want, id, test.name)
	}
}

func TestMember(t *testing.T) {
	t.Parallel()
	for field, want := range map[string]string{
		"Name": "name", "ExpiresAt": "expires_at", "ID": "id", "KeyID": "key_id", "Scopes[0]": "scopes[0]", "grace": "grace", "": "",
	} {
		assert.Equal(t, want, member(field), field)
	}
}
