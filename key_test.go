package apikey_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestKeyCheck(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, test := range []struct {
		name string
		key  apikey.Key
		want error
	}{
		{"zero times mean never", apikey.Key{}, nil},
		{"before ExpiresAt", apikey.Key{ExpiresAt: now.Add(1)}, nil},
		{"at ExpiresAt", apikey.Key{ExpiresAt: now}, apikey.ErrExpired},
		{"after ExpiresAt", apikey.Key{ExpiresAt: now.Add(-1)}, apikey.ErrExpired},
		{"ExpiresAt in another zone", apikey.Key{ExpiresAt: now.In(time.FixedZone("", 3600))}, apikey.ErrExpired},
		{"revoked", apikey.Key{RevokedAt: now.Add(-1)}, apikey.ErrRevoked},
		{"revoked in the future, by a clock that was set back", apikey.Key{RevokedAt: now.Add(time.Hour)}, apikey.ErrRevoked},
		{"revoked and expired", apikey.Key{RevokedAt: now, ExpiresAt: now}, apikey.ErrRevoked},
		{"created in the future, by a clock that was set back", apikey.Key{CreatedAt: now.Add(time.Hour)}, nil},
	} {
		t.Run(test.name, func(t *testing.T) { assert.Equal(t, test.want, test.key.Check(now)) })
	}
}

func TestKeyValidate(t *testing.T) {
	t.Parallel()
	ok := func(change func(*apikey.Key)) apikey.Key {
		key := apikey.Key{ID: "id", Name: "name"}
		change(&key)
		return key
	}
	name := func(s string) apikey.Key { return ok(func(k *apikey.Key) { k.Name = s }) }
	scopes := func(s ...string) apikey.Key { return ok(func(k *apikey.Key) { k.Scopes = s }) }
	metadata := func(name, value string) apikey.Key {
		return ok(func(k *apikey.Key) { k.Metadata = map[string]string{name: value} })
	}
	at := func(t time.Time) apikey.Key { return ok(func(k *apikey.Key) { k.ExpiresAt = t }) }
	for _, test := range []struct {
		name      string
		key       apikey.Key
		wantError string // "" if valid
	}{
		{"only an ID and a name", name("x"), ""},
		{"100 characters of four bytes", name(strings.Repeat("🔑", 100)), ""},
		{"quotes, dollars and percent signs", name(`'"$$%_;--` + "`"), ""},
		{"markup", name(`"><script>`), ""},
		{"a formula", name("=cmd"), ""},
		{"right-to-left text with its marks", name("مفتاح\u200f احتياطي"), ""},
		{"an emoji of several characters", name("👩\u200d💻"), ""},

		{"an empty name", name(""), "Name"},
		{"a blank name", name(" \u00a0\u3000"), "not all blank"},
		{"101 characters", name(strings.Repeat("é", 101)), "more than 100"},
		{"10 MB", name(strings.Repeat("x", 10<<20)), "more than 100"},
		{"NUL", name("a\x00b"), "U+0000"},
		{"a line break", name("a\nb"), "U+000A"},
		{"DEL", name("a\x7fb"), "U+007F"},
		{"a C1 control", name("a\u0085b"), "U+0085"},
		{"a line separator", name("a\u2028b"), "U+2028"},
		{"a bidi override", name("a\u202eb"), "U+202E"},
		{"a bidi isolate", name("a\u2066b"), "U+2066"},
		{"a zero-width space", name("admin\u200b"), "U+200B"},
		{"a soft hyphen", name("ad\u00admin"), "U+00AD"},
		{"a byte order mark", name("\ufeffadmin"), "U+FEFF"},
		{"a Hangul filler", name("\u3164"), "U+3164"},
		{"a tag", name("admin\U000e0061"), "U+E0061"},
		{"braille without dots", name("\u2800"), "not all blank"},
		{"only a joiner", name("\u200d"), "not all blank"},
		{"Persian with its non-joiner", name("می\u200cخواهم"), ""},
		{"invalid UTF-8", name("a\xffb"), "UTF-8"},
		{"a surrogate half", name("a\xed\xa0\x80b"), "UTF-8"},

		{"an empty ID", ok(func(k *apikey.Key) { k.ID = "" }), "ID"},
		{"an ID of 64 characters", ok(func(k *apikey.Key) { k.ID = strings.Repeat("a", 64) }), ""},
		{"an ID of 65 characters", ok(func(k *apikey.Key) { k.ID = strings.Repeat("a", 65) }), "ID"},
		{"an ID with every kind of character", ok(func(k *apikey.Key) { k.ID = "azAZ09_-" }), ""},
		{"an ID with a slash", ok(func(k *apikey.Key) { k.ID = "../x" }), "ID"},
		{"an ID with é", ok(func(k *apikey.Key) { k.ID = "é" }), "ID"},
		{"a predecessor that is not an ID", ok(func(k *apikey.Key) { k.Replaces = "a b" }), "Replaces"},
		{"an Owner with a control character", ok(func(k *apikey.Key) { k.Owner = "\x1b[31m" }), "Owner"},
		{"a Hint of 101 characters", ok(func(k *apikey.Key) { k.Hint = strings.Repeat("x", 101) }), "Hint"},

		{"100 scopes of 100 characters", scopes(func() (s []string) {
			for i := range 100 {
				s = append(s, fmt.Sprintf("%0100d", i))
			}
			return s
		}()...), ""},
		{"101 scopes", scopes(make([]string, 101)...), "101 scopes"},
		{"a scope of 101 characters", scopes(strings.Repeat("x", 101)), "Scopes"},
		{"an empty scope", scopes("a", ""), "Scopes"},
		{"a scope with a space", scopes("a b"), "Scopes"},
		{"a scope with a quote", scopes(`a"b`), "Scopes"},
		{"a scope with a backslash", scopes(`a\b`), "Scopes"},
		{"a scope that is not ASCII", scopes("é"), "Scopes"},
		{"a scope with every allowed character", scopes("!#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~"), ""},

		{"4 KiB of metadata", metadata("k", strings.Repeat("v", 4095)), ""},
		{"more than 4 KiB of metadata", metadata("kk", strings.Repeat("v", 4095)), "4097 bytes"},
		{"metadata without a name", metadata("", "v"), "a name is empty"},
		{"metadata with a control character", metadata("k", "\x00"), "Metadata"},
		{"metadata whose name is invalid UTF-8", metadata("\xff", "v"), "Metadata"},

		{"1970", at(time.UnixMicro(1)), ""},
		{"9999", at(time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)), ""},
		{"the epoch, which stores use for never", at(time.Unix(0, 0)), "ExpiresAt"},
		{"less than a microsecond after the epoch", at(time.Unix(0, 999)), "ExpiresAt"},
		{"before the epoch", at(time.Unix(-1, 0)), "ExpiresAt"},
		{"the year 10000", at(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)), "ExpiresAt"},
		{"a RevokedAt out of range", ok(func(k *apikey.Key) { k.RevokedAt = time.Unix(-1, 0) }), "RevokedAt"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.key.Validate()
			if test.wantError == "" {
				assert.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, apikey.ErrInvalid)
			assert.ErrorContains(t, err, test.wantError)
			assert.Less(t, len(err.Error()), 300, "the value is shortened")
		})
	}
}

func TestKeyClone(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 7200)
	key := apikey.Key{
		ID: "1", Scopes: []string{"a"}, Metadata: map[string]string{"k": "v"},
		ExpiresAt: time.Date(2030, 1, 1, 2, 0, 0, 123456789, zone),
	}
	c := key.Clone()
	c.Scopes[0], c.Metadata["k"] = "b", "w"
	assert.Equal(t, "a", key.Scopes[0], "the copy shares no memory")
	assert.Equal(t, "v", key.Metadata["k"], "the copy shares no memory")
	assert.Equal(t, time.Date(2030, 1, 1, 0, 0, 0, 123456000, time.UTC), c.ExpiresAt, "times are in UTC, to the microsecond")
	empty := apikey.Key{Scopes: []string{}, Metadata: map[string]string{}}
	assert.Equal(t, apikey.Key{}, empty.Clone(), "empty fields are nil, and zero times remain zero")
}

func TestKeyHasScopes(t *testing.T) {
	t.Parallel()
	key := apikey.Key{Scopes: []string{"a", "b"}}
	assert.True(t, key.HasScopes())
	assert.True(t, key.HasScopes("b", "a"))
	assert.False(t, key.HasScopes("a", "c"))
	assert.False(t, key.HasScopes("A"))
}

func TestCheckNamesTheFirstReason(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ended := apikey.Key{RevokedAt: now, SuspendedAt: now, ExpiresAt: now}
	assert.Equal(t, apikey.ErrRevoked, ended.Check(now))
	ended.RevokedAt = time.Time{}
	assert.Equal(t, apikey.ErrSuspended, ended.Check(now))
	ended.SuspendedAt = time.Time{}
	assert.Equal(t, apikey.ErrExpired, ended.Check(now))
}
