package manageapi

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// TestEveryFieldIsInTheAPI fails if a field is added to a struct that the API shows or accepts.
func TestEveryFieldIsInTheAPI(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		shown any
		by    any
	}{
		{"a key is shown", apikey.Key{}, keyView{}},
		{"a limit is shown", apikey.Limit{}, limitView{}},
		{"an entry of the history is shown", apikey.AuditEntry{}, entryView{}},
		{"the permissions of the caller are shown", manage.Access{}, accessView{}},
	} {
		var members []string
		for f := range reflect.TypeOf(test.by).Fields() {
			member, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			members = append(members, member)
		}
		for f := range reflect.TypeOf(test.shown).Fields() {
			require.Contains(t, members, member(f.Name), test.name)
		}
	}
	accepted := newKeyMembers(&apikey.NewKey{})
	for f := range reflect.TypeFor[apikey.NewKey]().Fields() {
		require.Contains(t, accepted, member(f.Name), "a new key has every field")
	}
	for f := range reflect.TypeFor[apikey.Patch]().Fields() {
		if f.Name != "Suspended" { // suspend and resume set it
			require.Contains(t, accepted, member(f.Name), "a patch has the members of a new key")
		}
	}
	for f := range reflect.TypeFor[apikey.ListOptions]().Fields() {
		value := map[string]string{"limit": "1", "expires_before": "2026-01-31T12:00:00Z", "unused_since": "2026-01-31T12:00:00Z"}[member(f.Name)]
		if value == "" {
			value = "x"
		}
		_, err := listOptions(member(f.Name) + "=" + strings.ReplaceAll(value, ":", "%3A"))
		require.NoError(t, err, "a list has the parameter of every option")
	}
}
