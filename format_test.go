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

// issueIn makes a key of a Format.
func issueIn(t testing.TB, f *apikey.Format) string {
	t.Helper()
	issuer, err := apikey.NewIssuer(memstore.New(), f)
	require.NoError(t, err)
	secret, _, err := issuer.Issue(t.Context(), apikey.Key{Name: "x"})
	require.NoError(t, err)
	return secret.Reveal()
}

// base62 writes n in six characters, as another program would.
func base62(n uint64) string {
	// big.Int has the digits in another order of case.
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
		name    string
		prefix  string
		peppers []apikey.Secret
		says    string
	}{
		{"an empty prefix", "", nil, "prefix"},
		{"a prefix of 21 characters", strings.Repeat("a", 21), nil, "prefix"},
		{"a prefix that begins with a digit", "1a", nil, "prefix"},
		{"a prefix that begins with _", "_a", nil, "prefix"},
		{"an upper-case prefix", "AK", nil, "prefix"},
		{"a prefix with -", "a-b", nil, "prefix"},
		{"five peppers", "ak", []apikey.Secret{pepper("1"), pepper("2"), pepper("3"), pepper("4"), pepper("5")}, "Peppers: 5"},
		{"a pepper of 31 bytes", "ak", []apikey.Secret{pepper("1"), short}, "Peppers[1]: 31 bytes"},
		{"the zero Secret as a pepper", "ak", []apikey.Secret{{}}, "Peppers[0]: 0 bytes"},
		{"the same pepper twice", "ak", []apikey.Secret{pepper("1"), pepper("1")}, "Peppers[1]: the same"},
		{"peppers that HMAC pads to the same", "ak", []apikey.Secret{pepper("1"), apikey.NewSecret(pepper("1").Reveal() + "\x00\x00")}, "Peppers[1]: the same"},
		{"a pepper that HMAC hashes to another", "ak", func() []apikey.Secret {
			long := strings.Repeat("p", 65)
			sum := sha256.Sum256([]byte(long))
			return []apikey.Secret{apikey.NewSecret(long), apikey.NewSecret(string(sum[:]))}
		}(), "Peppers[1]: the same"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := apikey.NewFormat(test.prefix, apikey.FormatOptions{Peppers: test.peppers})
			assert.Nil(t, f)
			require.ErrorIs(t, err, apikey.ErrInvalid)
			assert.ErrorContains(t, err, test.says)
			assert.NotContains(t, err.Error(), "1111")
		})
	}
	for _, prefix := range []string{"a", strings.Repeat("a", 20), "a1_b", "a_"} {
		newFormat(t, prefix, apikey.FormatOptions{})
	}
}

func TestTheShapeOfAKey(t *testing.T) {
	t.Parallel()
	for range 100 {
		key := issueIn(t, newFormat(t, "acme_live", apikey.FormatOptions{}))
		require.Regexp(t, regexp.MustCompile(`^acme_live_[0-9A-Za-z]{36}$`), key)
		crc := crc32.ChecksumIEEE([]byte(key[:len(key)-6]))
		require.Equal(t, base62(uint64(crc)), key[len(key)-6:], "the check characters are the CRC-32 of what stands before")
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
	require.Equal(t, base62(n), key[len(key)-6:], "with a pepper, they are the beginning of its HMAC")
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
	foreign := newFormat(t, "ak", apikey.FormatOptions{AllowForeign: true})
	foreign21 := newFormat(t, "ak", apikey.FormatOptions{Peppers: []apikey.Secret{p2, p1}, AllowForeign: true})
	foreignLenient := newFormat(t, "ak", apikey.FormatOptions{Peppers: []apikey.Secret{p1}, AllowForeign: true, AllowUnpeppered: true})

	plainKey, key1, key2, skKey := issueIn(t, plain), issueIn(t, with1), issueIn(t, with2), issueIn(t, sk)
	const emby = "0123456789abcdef0123456789abcdef"
	sum := func(s string) apikey.Digest { return sha256.Sum256([]byte(s)) }
	mac := func(p apikey.Secret, s string) (d apikey.Digest) {
		h := hmac.New(sha256.New, []byte(p.Reveal()))
		h.Write([]byte(s))
		copy(d[:], h.Sum(nil))
		return d
	}
	embySum := sum(emby)
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
		{"with a pepper: HMAC of what the check characters follow", with1, key1, mac(p1, body(key1))},
		{"the newest pepper of two", with21, key2, mac(p2, body(key2))},
		{"an older pepper of two", with21, key1, mac(p1, body(key1))},
		{"under another pepper", with2, key1, refused},
		{"without a pepper, where one is wanted", with1, plainKey, refused},
		{"with a pepper, where none is", plain, key1, refused},
		{"without a pepper, where that is allowed", lenient, plainKey, sum(plainKey)},
		{"with a pepper, where none is allowed too", lenient, key1, mac(p1, body(key1))},
		{"under another prefix", plain, skKey, refused},
		{"a foreign key, where none is allowed", plain, emby, refused},
		{"a foreign key: SHA-256", foreign, emby, sum(emby)},
		{"a foreign key with peppers: HMAC by the last of its SHA-256", foreign21, emby, mac(p1, labelled)},
		{"a foreign key where none is allowed too: SHA-256", foreignLenient, emby, sum(emby)},
		{"our own key, where foreign ones are allowed", foreign, plainKey, sum(plainKey)},
		{"a misshapen key with our prefix is not foreign", foreign, plainKey[:len(plainKey)-1] + "-", refused},
		{"a forged key with our prefix is not foreign", foreign, body(plainKey) + "000000", refused},
		{"a short key with our prefix is not foreign", foreign, "ak_0123456789abcdef0123", refused},
		{"a key of another prefix is foreign", foreign, skKey, sum(skKey)},
		{"a foreign key of 15 characters", foreign, emby[:15], refused},
		{"a foreign key of 16 characters", foreign, emby[:16], sum(emby[:16])},
		{"the documentation page's example", foreign, "123456789987654321", sum("123456789987654321")},
		{"a foreign key of 256 characters", foreign, strings.Repeat("x", 256), sum(strings.Repeat("x", 256))},
		{"a foreign key of 257 characters", foreign, strings.Repeat("x", 257), refused},
		{"a foreign key with a blank", foreign, "0123456789 abcdef", refused},
		{"a foreign key with a letter that is not ASCII", foreign, "0123456789abcdéf", refused},
		{"a foreign key with DEL", foreign, "0123456789abcdef\x7f", refused},
		{"nothing", foreign, "", refused},
		{"the prefix alone", plain, "ak_", refused},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := test.format.Digest(apikey.NewSecret(test.key))
			assert.Equal(t, test.want, d)
			if test.want == refused {
				assert.ErrorIs(t, err, apikey.ErrMalformed)
				assert.Equal(t, apikey.ErrMalformed.Error(), err.Error(), "no part of the key")
			} else {
				assert.NoError(t, err)
			}
		})
	}
}

func TestAKeyHasOneLength(t *testing.T) {
	t.Parallel()
	f := newFormat(t, "ak", apikey.FormatOptions{})
	for n, want := range map[int]error{29: apikey.ErrMalformed, 30: nil, 31: apikey.ErrMalformed, 300: apikey.ErrMalformed} {
		body := "ak_" + strings.Repeat("x", n)
		_, err := f.Digest(apikey.NewSecret(body + base62(uint64(crc32.ChecksumIEEE([]byte(body))))))
		assert.Equal(t, want, err, "%d random characters, with the check characters right", n)
	}
}

func TestEachChangeOfOneCharacterIsNoticed(t *testing.T) {
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
					require.ErrorIs(t, err, apikey.ErrMalformed, "%c at %d", c, i)
				}
			}
		})
	}
}

func TestAFormatDescribesItselfWithoutPeppers(t *testing.T) {
	t.Parallel()
	f := newFormat(t, "ak", apikey.FormatOptions{Peppers: []apikey.Secret{pepper("1")}})
	assert.Equal(t, "apikey.Format(ak_, peppers: 1)", fmt.Sprintf("%v", f))
	assert.Equal(t, "apikey.Format(ak_, peppers: 1)", fmt.Sprintf("%#v", f))
}

func TestAFormatServesManyAtOnce(t *testing.T) {
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
