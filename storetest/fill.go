package storetest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// filled returns a key in which every field has a value of its own. It goes by
// reflection, so that a field which is added to Key and forgotten in a store is noticed.
func filled(t *testing.T, n int) apikey.Key {
	t.Helper()
	var key apikey.Key
	v := reflect.ValueOf(&key).Elem()
	for i := range v.NumField() {
		if err := fill(v.Field(i), v.Type().Field(i).Name, n, i); err != nil {
			t.Fatal(err)
		}
	}
	return key
}

// fill sets field i, which has this name, to a value that no other field of a key n has.
func fill(field reflect.Value, name string, n, i int) error {
	text := fmt.Sprintf("%s-%d", name, n) // of characters that are allowed in an ID too
	switch v := field.Interface().(type) {
	case time.Time:
		field.Set(reflect.ValueOf(past.Add(time.Duration(n)*time.Hour + time.Duration(i)*time.Second)))
		return nil
	case []string:
		field.Set(reflect.ValueOf([]string{text + "-z", text + "-a"}))
		return nil
	case map[string]string:
		field.Set(reflect.ValueOf(map[string]string{text + "-one": "1", text + "-two": "2"}))
		return nil
	default:
		switch field.Kind() {
		case reflect.String:
			field.SetString(text)
		case reflect.Bool:
			field.SetBool(true)
		case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
			field.SetInt(int64(1 + i))
		case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
			field.SetUint(uint64(1 + i))
		default:
			return fmt.Errorf("storetest has no value for the field %s of type %T: teach fill", name, v)
		}
		return nil
	}
}

// difference tells in which fields two keys differ, or "". LastUsedAt is left out, since
// only Get and List have it.
func difference(got, want apikey.Key) string {
	var all []string
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		name := g.Type().Field(i).Name
		if name != "LastUsedAt" && !sameValue(g.Field(i), w.Field(i)) {
			all = append(all, fmt.Sprintf("%s is %s, want %s", name, show(g.Field(i)), show(w.Field(i))))
		}
	}
	return strings.Join(all, "; ")
}

func sameValue(got, want reflect.Value) bool {
	if t, ok := got.Interface().(time.Time); ok {
		return t.Equal(want.Interface().(time.Time))
	}
	if k := got.Kind(); (k == reflect.Slice || k == reflect.Map) && got.Len() == 0 && want.Len() == 0 {
		return true // nil or empty, as the store likes
	}
	return reflect.DeepEqual(got.Interface(), want.Interface())
}

func show(v reflect.Value) string {
	const most = 200
	text := fmt.Sprintf("%q", v.Interface())
	if t, ok := v.Interface().(time.Time); ok {
		text = t.Format(time.RFC3339Nano)
	} else if v.CanInt() || v.CanUint() {
		text = fmt.Sprint(v.Interface()) // which %q takes for a character
	}
	if len(text) > most {
		text = fmt.Sprintf("%s… (%d bytes)", text[:most], len(text))
	}
	return text
}

// zoned tells which times of a key are not in UTC, or "".
func zoned(key apikey.Key) string {
	v := reflect.ValueOf(key)
	for i := range v.NumField() {
		if t, ok := v.Field(i).Interface().(time.Time); ok && t.Location() != time.UTC {
			return fmt.Sprintf("%s is in %v, want UTC", v.Type().Field(i).Name, t.Location())
		}
	}
	return ""
}

// scribble writes over what a key points to, as a caller may who was handed a copy, or
// whose argument it was.
func scribble(key apikey.Key) {
	v := reflect.ValueOf(key)
	for i := range v.NumField() {
		switch field := v.Field(i); field.Kind() {
		case reflect.Slice:
			for j := range field.Len() {
				field.Index(j).SetZero()
			}
		case reflect.Map:
			field.Clear()
		}
	}
}

// patchOf returns a Patch that sets one field to what it is in key; ok is false if there
// is no Patch for it.
func patchOf(key apikey.Key, name string) (p apikey.Patch, ok bool) {
	field := reflect.ValueOf(&p).Elem().FieldByName(name)
	if !field.IsValid() {
		return p, false
	}
	value := reflect.New(field.Type().Elem())
	value.Elem().Set(reflect.ValueOf(key).FieldByName(name))
	field.Set(value)
	return p, true
}

// setField sets one field of a key.
func setField(key *apikey.Key, name string, value any) {
	reflect.ValueOf(key).Elem().FieldByName(name).Set(reflect.ValueOf(value))
}

// short shows a value in a few words.
func short(v any) string { return show(reflect.ValueOf(v)) }
