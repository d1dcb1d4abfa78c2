package storetest

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestFilledSetsEveryField(t *testing.T) {
	t.Parallel()
	key := filled(t, 1)
	require.NoError(t, key.Validate())
	seen := make(map[string]string)
	v := reflect.ValueOf(key)
	for i := range v.NumField() {
		name, text := v.Type().Field(i).Name, show(v.Field(i))
		assert.False(t, v.Field(i).IsZero(), "%s is zero; want a value", name)
		other, dup := seen[text]
		assert.False(t, dup, "%s and %s are both %s; want different values", name, other, text)
		seen[text] = name
	}
}

func TestFillRefusesUnknownTypes(t *testing.T) {
	t.Parallel()
	var supported struct {
		A bool
		B int64
		C uint16
		D string
		E []string
		F map[string]string
		G time.Time
	}
	v := reflect.ValueOf(&supported).Elem()
	for i := range v.NumField() {
		assert.NoError(t, fill(v.Field(i), v.Type().Field(i).Name, 1, i), v.Field(i).Type())
		assert.False(t, v.Field(i).IsZero(), "fill(%s) set no value", v.Field(i).Type())
	}
	var unsupported struct {
		Channel chan int
		Struct  struct{ X int }
		Numbers []int
	}
	v = reflect.ValueOf(&unsupported).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		assert.ErrorContains(t, fill(v.Field(i), name, 1, i), name)
	}
}

func TestDifferenceComparesEveryField(t *testing.T) {
	t.Parallel()
	a, b := filled(t, 1), filled(t, 2)
	v := reflect.ValueOf(b)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if name == "LastUsedAt" || name == "LastUsedAddr" {
			continue
		}
		changed := a
		setField(&changed, name, v.Field(i).Interface())
		problem := difference(changed, a)
		assert.True(t, strings.HasPrefix(problem, name+" = ") && !strings.Contains(problem, "\n"), "difference(another %s) = %q; want one line about the field", name, problem)
	}
	a.Scopes, a.Metadata = nil, nil
	b = a
	b.Scopes, b.Metadata = []string{}, map[string]string{}
	assert.Empty(t, difference(a, b), "difference(nil and empty fields)")
}

func TestOverwriteClearsSlicesAndMaps(t *testing.T) {
	t.Parallel()
	key := filled(t, 1)
	copied := key.Clone()
	overwrite(key)
	problem := difference(key, copied)
	assert.Contains(t, problem, "Scopes", "difference after overwrite")
	assert.Contains(t, problem, "Metadata", "difference after overwrite")
}

func TestValidateRefusesInvalidValues(t *testing.T) {
	t.Parallel()
	for _, f := range invalidValues() {
		key := sample(1)
		setField(&key, f.field, f.value)
		assert.ErrorContains(t, key.Validate(), f.field, "Validate() of a key with %s", f)
	}
}

func TestLookupKeysHasEveryKind(t *testing.T) {
	t.Parallel()
	var active, revoked, expired, least int
	ids := make(map[string]bool)
	for d, key := range lookupKeys(t) {
		assert.True(t, d != (apikey.Digest{}) && d != digestOf(-1), "lookupKeys has a digest that the rules use as an unknown one")
		assert.NoError(t, key.Validate())
		assert.False(t, ids[key.ID], "two keys have the ID %s; want different IDs", key.ID)
		ids[key.ID] = true
		switch {
		case !key.RevokedAt.IsZero():
			revoked++
		case key.Check(time.Now()) != nil:
			expired++
		default:
			active++
		}
		if key.Owner == "" {
			least++
		}
	}
	assert.True(t, active != 0 && revoked != 0 && expired != 0 && least != 0, "%d active, %d revoked, %d expired, %d with only ID and Name; want some of each", active, revoked, expired, least)
}

func TestRuleNamesAreUnique(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, group := range groups {
		for _, r := range group.rules {
			// A slash in a name would split it in a -run pattern.
			name := group.name + "/" + r.name
			assert.True(t, !seen[name] && strings.Count(name, "/") == 1, "rule %q: want a unique name without a slash", name)
			seen[name] = true
		}
	}
	assert.GreaterOrEqual(t, len(seen), 60, "rules of the suite")
}
