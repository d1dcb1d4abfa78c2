package sha256text

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	t.Parallel()
	want := sha256.Sum256([]byte("key 10")) // its base64 contains both "+" and "/"
	std := base64.StdEncoding.EncodeToString(want[:])
	for name, text := range map[string]string{
		"hex":              hex.EncodeToString(want[:]),
		"upper-case hex":   strings.ToUpper(hex.EncodeToString(want[:])),
		"base64":           std,
		"unpadded base64":  strings.TrimSuffix(std, "="),
		"base64url":        base64.RawURLEncoding.EncodeToString(want[:]),
		"padded base64url": base64.URLEncoding.EncodeToString(want[:]),
		"with a prefix":    "sha256:" + hex.EncodeToString(want[:]),
		"as in Poweradmin": "sha256$" + hex.EncodeToString(want[:]),
	} {
		got, err := Parse(text)
		require.NoError(t, err, name)
		assert.Equal(t, want, got, name)
	}
}

func TestParseRefusesOtherTextWithoutShowingIt(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"an empty text":          "",
		"a key":                  "ak_Ct6P0mFYPkr8UmHVLbmtkN2ekkJJjh4JqXAn",
		"hex that is too long":   strings.Repeat("a", 66),
		"64 characters, not hex": strings.Repeat("g", 64),
		"spaces in base64":       strings.Repeat("a ", 22),
		"trailing bits":          strings.Repeat("/", 43),
		"SHA-512":                strings.Repeat("a", 128),
	} {
		_, err := Parse(text)
		require.Error(t, err, name)
		if text != "" {
			assert.NotContains(t, err.Error(), text, name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(strings.Repeat("a", 64))
	f.Add(strings.Repeat("A", 43) + "=")
	f.Fuzz(func(t *testing.T, text string) {
		sum, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(hex.EncodeToString(sum[:]))
		require.NoError(t, err)
		assert.Equal(t, sum, again)
	})
}
