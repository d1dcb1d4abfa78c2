package apikey

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A recorder is a KeyManager that records whether it was called to write.
type recorder struct {
	KeyManager
	wrote bool
}

func (r *recorder) Create(context.Context, Digest, Key) error { r.wrote = true; return nil }

func (r *recorder) Get(context.Context, string) (Key, error) { return Key{ID: "1", Name: "x"}, nil }

func TestIssuerWithoutRandomBytes(t *testing.T) {
	t.Parallel()
	noEntropy := errors.New("no entropy")
	for _, after := range []int{0, 1, 63, 64, 100} {
		m := &recorder{}
		issuer, err := NewIssuer(m, IssuerOptions{})
		require.NoError(t, err)
		issuer.random = iotest.TimeoutReader(strings.NewReader(strings.Repeat("\x00", after)))
		if after == 0 {
			issuer.random = iotest.ErrReader(noEntropy)
		}
		secret, key, err := issuer.Issue(t.Context(), NewKey{Name: "x"})
		assert.Error(t, err)
		assert.Empty(t, secret.Reveal())
		assert.Zero(t, key)
		_, _, err = issuer.Rotate(t.Context(), "1", 0)
		assert.Error(t, err)
		assert.False(t, m.wrote)
	}
}

func TestRandomTextIsUniform(t *testing.T) {
	t.Parallel()
	// Of each byte once, the last 8 must be ignored, and the others must give each character 4 times.
	bytes := make([]byte, 256)
	for i := range bytes {
		bytes[i] = byte(i)
	}
	text, err := randomText(strings.NewReader(string(bytes)), 248)
	require.NoError(t, err)
	for _, c := range alphabet {
		assert.Equal(t, 4, strings.Count(text, string(c)), "%c", c)
	}
	_, err = randomText(strings.NewReader(string(bytes)), 249)
	assert.Error(t, err)
}

func TestSumIsHMAC(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789abcdef", 4)
	for _, key := range []string{strings.Repeat("a", 32), strings.Repeat("b", 33), strings.Repeat("c", 63) + "\x00", strings.Repeat("d", 64), strings.Repeat("e", 65), strings.Repeat("f", 1000)} {
		f, err := NewFormat("ak", FormatOptions{Peppers: []Secret{NewSecret(key)}})
		require.NoError(t, err)
		for n := range len(text) + 1 {
			h := hmac.New(sha256.New, []byte(key))
			h.Write([]byte(text[:n]))
			assert.Equal(t, Digest(h.Sum(nil)), sum(f.peppers[0], text[:n]), "a pepper of %d bytes, a text of %d", len(key), n)
		}
	}
}

func TestCRC32Update(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("The quick brown fox jumps over the lazy dog. \x00\xff", 2)
	for i := range text {
		assert.Equal(t, crc32.ChecksumIEEE([]byte(text[:i])), crc32Update(0, text[:i]))
		assert.Equal(t, crc32.ChecksumIEEE([]byte(text)), crc32Update(crc32Update(0, text[:i]), text[i:]))
	}
}

func TestIsBase62(t *testing.T) {
	t.Parallel()
	for n := 8; n <= 40; n++ {
		text := strings.Repeat("aZ09mM5x", 5)[:n]
		require.True(t, isBase62(text))
		for i := range n {
			for c := range 256 {
				b := []byte(text)
				b[i] = byte(c)
				require.Equal(t, strings.IndexByte(alphabet, byte(c)) >= 0, isBase62(string(b)), "%q", b)
			}
		}
	}
}
