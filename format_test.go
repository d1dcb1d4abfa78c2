package apikey_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

func pepper(c string) apikey.Secret { return apikey.NewSecret(strings.Repeat(c, 32)) }

func newFormat(t testing.TB, prefix string, o apikey.FormatOptions) *apikey.Format {
	t.Helper()
	f, err := apikey.NewFormat(prefix, o)
	require.NoError(t, err)
	return f
}

// issueIn returns a new key in a Format.
func issueIn(t testing.TB, f *apikey.Format) string {
	t.Helper()
	issuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{Format: f})
	require.NoError(t, err)
	secret, _, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "x"})
	require.NoError(t, err)
	return secret.Reveal()
}

// base62 returns n modulo 62^6 in six characters. It does not share code with the package.
func base62(n uint64) string {
	// big.Int orders lower case before upper case.
	s := new(big.Int).SetUint64(n % 56800235584).Text(62)
	s = strings.Repeat("0", 6-len(s)) + s
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return r
	}, s)
}

func TestNewFormatRefuses(t *testing.T) {
	t.Parallel()
	short := apikey.NewSecret(strings.Repeat("p", 31))
	for _, test := range []struct {
		name      string
		prefix    string
		peppers   []apikey.Secret
		wantError string
	}{
		{"an empty prefix", "", nil, "prefix"},
		{"a prefix of 21 characters", strings.Repeat("a", 21), nil, "prefix"},
		{"a prefix that begins with a digit", "1a", nil, "prefix"},
		{"a prefix that begins with an underscore", "_a", nil, "prefix"},
		{"an upper-case prefix", "AK", nil, "prefix"},
		{"a prefix with a hyphen", "a-b", nil, "prefix"},
		{"five peppers", "ak", []apikey.Secret{pepper("1"), pepper("2"), pepper("3"), pepper("4"), pepper("5")}, "Peppers: 5"},
		{"a pepper of 31 bytes", "ak", []apikey.Secret{pepper("1"), short}, "Peppers[1]: 31 bytes"},
		{"the zero Secret as a pepper", "ak", []apikey.Secret{{}}, "Peppers[0]: 0 bytes"},
		{"the same pepper twice", "ak", []apikey.Secret{pepper("1"), pepper("1")}, "Peppers[1]: the same"},
		{"two peppers that HMAC pads to the same key", "ak", []apikey.Secret{pepper("1"), apikey.NewSecret(pepper("1").Reveal() + "\x00\x00")}, "Peppers[1]: the same"},
		{"a pepper that HMAC hashes to another one", "ak", func() []apikey.Secret {
			long := strings.Repeat("p", 65)
			sum := sha256.Sum256([]byte(long))
			return []apikey.Secret{apikey.NewSecret(long), apikey.NewSecret(string(sum[:]))}
		}(), "Peppers[1]: the same"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := apikey.NewFormat(test.prefix, apikey.FormatOptions{Peppers: test.peppers})
			assert.Nil(t, f)
			require.ErrorIs(t, err, apikey.ErrInvalid)
			assert.ErrorContains(t, err, test.wantError)
			assert.NotContains(t, err.Error(), "1111")
		})
	}
	for _, prefix := range []string{"a", strings.Repeat("a", 20), "a1_b", "a_"} {
		newFormat(t, prefix, apikey.FormatOptions{})
	}
}

func TestKeyShape(t *testing.T) {
	t.Parallel()
	for range 100 {
		key := issueIn(t, newFormat(t, "acme_live", apikey.FormatOptions{}))
		require.Regexp(t, regexp.MustCompile(`^acme_live_[0-9A-Za-z]{36}$`), key)
		crc := crc32.ChecksumIEEE([]byte(key[:len(key)-6]))
		require.Equal(t, base62(uint64(crc)), key[len(key)-6:], "the check characters are the CRC-32 of the characters before them")
	}
	key := issueIn(t, newFormat(t, "acme", apikey.FormatOptions{Peppers: []apikey.Secret{pepper("1")}}))
	require.Regexp(t, regexp.MustCompile(`^acme_[0-9A-Za-z]{36}$`), key)
	mac := hmac.New(sha256.New, []byte(pepper("1").Reveal()))
	mac.Write([]byte(key[:len(key)-6]))
	sum := mac.Sum(nil)
	var n uint64
	for _, b := range sum[:8] {
		n = n<<8 | uint64(b)
	}
	require.Equal(t, base62(n), key[len(key)-6:], "with a pepper, the check characters are the beginning of the HMAC")
}

func TestDigest(t *testing.T) {
	t.Parallel()
	p1, p2 := pepper("1"), pepper("2")
	plain := newFormat(t, "ak", apikey.FormatOptions{})
	with1 := newFormat(t, "ak", apikey.FormatOptions{Peppers: []apikey.Secret{p1}})
	with21 := newFormat(t, "ak", apikey.FormatOptions{Peppers: []apikey.Secret{p2, p1}})
	with2 := newFormat(t, "ak", apikey.FormatOptions{Peppers: []apikey.Secret{p2}})
	lenient := newFormat(t, "ak", apikey.FormatOptions{Peppers: []apikey.Secret{p1}, AllowUnpeppered: true})
	sk := newFormat(t, "sk", apikey.FormatOptions{})
	imported := newFormat(t, "ak", apikey.FormatOptions{AllowImported: true})
	imported21 := newFormat(t, "ak", apikey.FormatOptions{Peppers: []apikey.Secret{p2, p1}, AllowImported: true})
	importedLenient := newFormat(t, "ak", apikey.FormatOptions{Peppers: []apikey.Secret{p1}, AllowImported: true, AllowUnpeppered: true})

	plainKey, key1, key2, skKey := issueIn(t, plain), issueIn(t, with1), issueIn(t, with2), issueIn(t, sk)
	const embyKey = "0123456789abcdef0123456789abcdef"
	sum := func(s string) apikey.Digest { return sha256.Sum256([]byte(s)) }
	mac := func(p apikey.Secret, s string) (d apikey.Digest) {
		h := hmac.New(sha256.New, []byte(p.Reveal()))
		h.Write([]byte(s))
		copy(d[:], h.Sum(nil))
		return d
	}
	embySum := sum(embyKey)
	labelled := "sha256:" + string(embySum[:])
	body := func(key string) string { return key[:len(key)-6] }
	refused := apikey.Digest{}
	for _, test := range []struct {
		name   string
		format *apikey.Format
		key    string
		want   apikey.Digest
	}{
		{"without a pepper: SHA-256 of the key", plain, plainKey, sum(plainKey)},
		{"with a pepper: HMAC of the key without its check characters", with1, key1, mac(p1, body(key1))},
		{"the newest pepper of two", with21, key2, mac(p2, body(key2))},
		{"an older pepper of two", with21, key1, mac(p1, body(key1))},
		{"a key of another pepper", with2, key1, refused},
		{"an unpeppered key, if a pepper is required", with1, plainKey, refused},
		{"a peppered key, if there is no pepper", plain, key1, refused},
		{"an unpeppered key, if it is allowed", lenient, plainKey, sum(plainKey)},
		{"a peppered key, if unpeppered keys are allowed too", lenient, key1, mac(p1, body(key1))},
		{"a key of another prefix", plain, skKey, refused},
		{"an imported key, if it is not allowed", plain, embyKey, refused},
		{"an imported key: SHA-256", imported, embyKey, sum(embyKey)},
		{"an imported key with peppers: HMAC of its SHA-256 by the last pepper", imported21, embyKey, mac(p1, labelled)},
		{"an imported key, if unpeppered keys are allowed: SHA-256", importedLenient, embyKey, sum(embyKey)},
		{"a native key, if imported keys are allowed", imported, plainKey, sum(plainKey)},
		{"a malformed key with the prefix is not an imported key", imported, plainKey[:len(plainKey)-1] + "-", refused},
		{"a forged key with the prefix is not an imported key", imported, body(plainKey) + "000000", refused},
		{"a short key with the prefix is not an imported key", imported, "ak_0123456789abcdef0123", refused},
		{"a key of another prefix is an imported key", imported, skKey, sum(skKey)},
		{"an imported key of 15 characters", imported, embyKey[:15], refused},
		{"an imported key of 16 characters", imported, embyKey[:16], sum(embyKey[:16])},
		{"the example of Emby's documentation", imported, "123456789987654321", sum("123456789987654321")},
		{"an imported key of 1,024 characters", imported, strings.Repeat("x", 1024), sum(strings.Repeat("x", 1024))},
		{"an imported key of 1,025 characters", imported, strings.Repeat("x", 1025), refused},
		{"an imported key with a space", imported, "0123456789 abcdef", refused},
		{"an imported key with a letter that is not ASCII", imported, "0123456789abcdéf", refused},
		{"an imported key with DEL", imported, "0123456789abcdef\x7f", refused},
		{"an empty text", imported, "", refused},
		{"only the prefix", plain, "ak_", refused},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := test.format.Digest(apikey.NewSecret(test.key))
			assert.Equal(t, test.want, d)
			if test.want == refused {
				assert.ErrorIs(t, err, apikey.ErrMalformed)
				assert.Equal(t, apikey.ErrMalformed.Error(), err.Error(), "the error contains no part of the key")
			} else {
				assert.NoError(t, err)
			}
		})
	}
}

func TestKeyLength(t *testing.T) {
	t.Parallel()
	f := newFormat(t, "ak", apikey.FormatOptions{})
	for n, want := range map[int]error{29: apikey.ErrMalformed, 30: nil, 31: apikey.ErrMalformed, 300: apikey.ErrMalformed} {
		body := "ak_" + strings.Repeat("x", n)
		_, err := f.Digest(apikey.NewSecret(body + base62(uint64(crc32.ChecksumIEEE([]byte(body))))))
		assert.Equal(t, want, err, "%d random characters with right check characters", n)
	}
}

func TestDigestDetectsChangedCharacters(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]apikey.FormatOptions{"CRC-32": {}, "HMAC": {Peppers: []apikey.Secret{pepper("1")}}} {
		t.Run(name, func(t *testing.T) {
			f := newFormat(t, "ak", o)
			key := issueIn(t, f)
			for i := range key {
				for _, c := range []byte("0aAzZ9_-") {
					if key[i] == c {
						continue
					}
					_, err := f.Digest(apikey.NewSecret(key[:i] + string(c) + key[i+1:]))
					require.ErrorIs(t, err, apikey.ErrMalformed, "%c at index %d", c, i)
				}
			}
		})
	}
}

func TestFormatStringOmitsPeppers(t *testing.T) {
	t.Parallel()
	f := newFormat(t, "ak", apikey.FormatOptions{Peppers: []apikey.Secret{pepper("1")}})
	assert.Equal(t, "apikey.Format(ak_, peppers: 1)", fmt.Sprintf("%v", f))
	assert.Equal(t, "apikey.Format(ak_, peppers: 1)", fmt.Sprintf("%#v", f))
}

func TestFormatConcurrentUse(t *testing.T) {
	t.Parallel()
	f := newFormat(t, "ak", apikey.FormatOptions{Peppers: []apikey.Secret{pepper("2"), pepper("1")}})
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for range 100 {
				key := apikey.NewSecret(issueIn(t, f))
				first, err := f.Digest(key)
				require.NoError(t, err)
				second, err := f.Digest(key)
				require.NoError(t, err)
				require.Equal(t, first, second)
			}
		})
	}
}

func TestPatternMatchesTheShapeOfKeys(t *testing.T) {
	t.Parallel()
	f := newFormat(t, "acme_live", apikey.FormatOptions{})
	assert.Equal(t, "acme_live_", f.Prefix())
	assert.Equal(t, "acme_live_[0-9A-Za-z]{36}", f.Pattern())
	pattern := regexp.MustCompile("^" + f.Pattern() + "$")
	key := issueIn(t, f)
	assert.Regexp(t, pattern, key)
	for _, other := range []string{key[1:], key + "0", key[:len(key)-1], key[:len(key)-1] + "-", issueIn(t, newFormat(t, "acme", apikey.FormatOptions{}))} {
		assert.NotRegexp(t, pattern, other)
	}
}
