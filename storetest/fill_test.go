package storetest

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

func TestFilledLeavesNoFieldZero(t *testing.T) {
	t.Parallel()
	key := filled(t, 1)
	if err := key.Validate(); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]string)
	v := reflect.ValueOf(key)
	for i := range v.NumField() {
		name, text := v.Type().Field(i).Name, show(v.Field(i))
		if v.Field(i).IsZero() {
			t.Errorf("%s is zero", name)
		}
		if other, dup := seen[text]; dup {
			t.Errorf("%s and %s are the same, %s", name, other, text)
		}
		seen[text] = name
	}
}

func TestFillKnowsLikelyTypesAndRefusesOthers(t *testing.T) {
	t.Parallel()
	var likely struct {
		A bool
		B int64
		C uint16
		D string
		E []string
		F map[string]string
		G time.Time
	}
	v := reflect.ValueOf(&likely).Elem()
	for i := range v.NumField() {
		if err := fill(v.Field(i), v.Type().Field(i).Name, 1, i); err != nil || v.Field(i).IsZero() {
			t.Errorf("fill of a %s: %v, and the value is %v", v.Field(i).Type(), err, v.Field(i))
		}
	}
	var others struct {
		Channel chan int
		Struct  struct{ X int }
		Numbers []int
	}
	v = reflect.ValueOf(&others).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if err := fill(v.Field(i), name, 1, i); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("fill of %s: %v; want an error that names it", name, err)
		}
	}
}

func TestDifferenceFindsEveryField(t *testing.T) {
	t.Parallel()
	a, b := filled(t, 1), filled(t, 2)
	v := reflect.ValueOf(b)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if name == "LastUsedAt" {
			continue
		}
		changed := a
		setField(&changed, name, v.Field(i).Interface())
		if problem := difference(changed, a); !strings.HasPrefix(problem, name+" is ") || strings.Contains(problem, ";") {
			t.Errorf("with another %s, the difference is %q", name, problem)
		}
	}
	a.Scopes, a.Metadata = nil, nil
	b = a
	b.Scopes, b.Metadata = []string{}, map[string]string{}
	if problem := difference(a, b); problem != "" {
		t.Errorf("between nil and empty the difference is %q", problem)
	}
}

func TestScribbleSpoilsWhatIsShared(t *testing.T) {
	t.Parallel()
	key := filled(t, 1)
	copied := key.Clone()
	scribble(key)
	if problem := difference(key, copied); !strings.Contains(problem, "Scopes") || !strings.Contains(problem, "Metadata") {
		t.Errorf("scribble left the key with the difference %q", problem)
	}
}

func TestFlawsAreWhatValidateRefuses(t *testing.T) {
	t.Parallel()
	for _, f := range flaws() {
		key := sample(1)
		setField(&key, f.field, f.value)
		if err := key.Validate(); err == nil || !strings.Contains(err.Error(), f.field) {
			t.Errorf("Validate of %s: %v; want an error that names it", f, err)
		}
	}
}

func TestCatalogueHasEveryKind(t *testing.T) {
	t.Parallel()
	var active, revoked, expired, least int
	ids := make(map[string]bool)
	for d, key := range catalogue(t) {
		if d == (apikey.Digest{}) || d == digestOf(-1) {
			t.Error("a digest that has to be unknown is in the catalogue")
		}
		if err := key.Validate(); err != nil {
			t.Error(err)
		}
		if ids[key.ID] {
			t.Errorf("two keys have the ID %s", key.ID)
		}
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
	if active == 0 || revoked == 0 || expired == 0 || least == 0 {
		t.Errorf("%d active, %d revoked, %d expired, %d of ID and Name alone; want some of each", active, revoked, expired, least)
	}
}

func TestRulesHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, group := range groups {
		for _, r := range group.rules {
			// A slash would make the group and the rule hard to tell apart in -run.
			name := group.name + "/" + r.name
			if seen[name] || strings.Count(name, "/") != 1 {
				t.Errorf("the name %q is taken, or has a slash", name)
			}
			seen[name] = true
		}
	}
	if len(seen) < 60 {
		t.Errorf("the suite has %d rules", len(seen))
	}
}
