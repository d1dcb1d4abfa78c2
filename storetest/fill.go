package storetest

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// filled returns a key with a different value in every field. It uses reflection, so that the suite
// covers a field that is added to Key later.
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

// fill sets field i of key n, called name, to a value that no other field has.
func fill(field reflect.Value, name string, n, i int) error {
	text := fmt.Sprintf("%s-%d", name, n) // valid as an ID too
	switch v := field.Interface().(type) {
	case time.Time:
		field.Set(reflect.ValueOf(past.Add(time.Duration(n)*time.Hour + time.Duration(i)*time.Second)))
		return nil
	case netip.Addr:
		field.Set(reflect.ValueOf(netip.AddrFrom4([4]byte{192, 0, byte(i), byte(n)})))
		return nil
	case []string:
		field.Set(reflect.ValueOf([]string{text + "-z", text + "-a"}))
		return nil
	case []netip.Prefix:
		field.Set(reflect.ValueOf([]netip.Prefix{
			netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, byte(i), byte(n)}), 32), netip.MustParsePrefix("2001:db8::/32"),
		}))
		return nil
	case []apikey.Limit:
		field.Set(reflect.ValueOf([]apikey.Limit{
			{Name: "rate", Requests: int64(1 + n), Per: time.Minute, Burst: int64(1 + i)}, {Name: "quota", Requests: 1000, Calendar: "month"},
		}))
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
			return fmt.Errorf("storetest: fill has no value for the field %s of type %T", name, v)
		}
		return nil
	}
}

// difference lists the fields that differ between two keys, one a line, or returns "". It ignores
// LastUsedAt and LastUsedAddr, because Lookup does not return them.
func difference(got, want apikey.Key) string {
	var all []string
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		name := g.Type().Field(i).Name
		if name != "LastUsedAt" && name != "LastUsedAddr" && !sameValue(g.Field(i), w.Field(i)) {
			all = append(all, fmt.Sprintf("%s = %s; want %s", name, show(g.Field(i)), show(w.Field(i))))
		}
	}
	return strings.Join(all, "\n")
}

func sameValue(got, want reflect.Value) bool {
	if t, ok := got.Interface().(time.Time); ok {
		return t.Equal(want.Interface().(time.Time))
	}
	if k := got.Kind(); (k == reflect.Slice || k == reflect.Map) && got.Len() == 0 && want.Len() == 0 {
		return true // a store may return nil or an empty value
	}
	return reflect.DeepEqual(got.Interface(), want.Interface())
}

func show(v reflect.Value) string {
	const most = 200
	text := fmt.Sprintf("%q", v.Interface())
	if t, ok := v.Interface().(time.Time); ok {
		text = t.Format(time.RFC3339Nano)
	} else if v.CanInt() || v.CanUint() {
		text = fmt.Sprint(v.Interface()) // %q would print a character
	}
	if len(text) > most {
		text = fmt.Sprintf("%s… (%d bytes)", text[:most], len(text))
	}
	return text
}

// notUTC describes a time of a key that is not in UTC, or returns "".
func notUTC(key apikey.Key) string {
	v := reflect.ValueOf(key)
	for i := range v.NumField() {
		if t, ok := v.Field(i).Interface().(time.Time); ok && t.Location() != time.UTC {
			return fmt.Sprintf("%s is in %v; want UTC", v.Type().Field(i).Name, t.Location())
		}
	}
	return ""
}

// overwrite clears the slices and maps of a key, as a caller may do with a returned key or with an
// argument of its own.
func overwrite(key apikey.Key) {
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

// patchOf returns a Patch that sets one field to its value in key. ok is false if Patch has no such
// field.
func patchOf(key apikey.Key, name string) (p apikey.Patch, ok bool) {
	field := reflect.ValueOf(&p).Elem().FieldByName(name)
	if !field.IsValid() {
		return p, false
	}
	if name == "Suspended" {
		return p, false // it sets SuspendedAt
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

// short formats a value in at most about 200 bytes.
func short(v any) string { return show(reflect.ValueOf(v)) }
