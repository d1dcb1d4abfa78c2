package console_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/console"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Backup job":                "Backup job",
		"バックアップ":                    "バックアップ",
		"👩‍💻 🏴\U000E0067\U000E007F": "👩‍💻 🏴\U000E0067\U000E007F",
		"نمی\u200cدانم":             "نمی\u200cدانم",
		"\x1b[2Jgone":               "�[2Jgone",
		"a\rb\nc\td\be\x7f":         "a�b�c�d�e�",
		"\u009b2J":                  "�2J", // CSI in one character
		"a\u202Eb\u2066c":           "a�b�c",
		"a\u2028b\u2029c":           "a�b�c",
		"\xff\xfe":                  "��",
		"a\u200Bb\uFEFF":            "a�b�",
	} {
		assert.Equal(t, want, console.Clean(text), "%q", text)
	}
	assert.Equal(t, "one\ntwo �[0m three", console.CleanLines("one\ntwo \x1b[0m\tthree"))
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"name", "\x1b]0;title\a", "\u202Eabc", "\xc2", "👩‍💻"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cleaned := console.Clean(text)
		if !utf8.ValidString(cleaned) || strings.ContainsFunc(cleaned, unicode.IsControl) {
			t.Errorf("%q became %q", text, cleaned)
		}
		if console.Clean(cleaned) != cleaned {
			t.Errorf("%q is not clean", cleaned)
		}
	})
}

func TestTableAlignsWideCharacters(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	table := console.NewTable(&out, "NAME", "OWNER")
	require.NoError(t, table.Write([][]string{{"abc", "a"}, {"日本", "b"}, {"👩‍💻", "c"}, {"e\u0301", "d"}, {"", "e"}}))
	assert.Equal(t, "NAME  OWNER\nabc   a\n日本  b\n👩‍💻    c\ne\u0301     d\n      e\n", out.String())
}

func TestTableContinuesWithItsColumns(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	table := console.NewTable(&out, "NAME", "OWNER")
	require.NoError(t, table.Write([][]string{{"a long name", "a"}}))
	require.NoError(t, table.Write([][]string{{"short", "b"}}))
	assert.Equal(t, "NAME         OWNER\na long name  a\nshort        b\n", out.String())
}

func TestTableCutsLongCells(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, console.NewTable(&out, "NAME").Write([][]string{{strings.Repeat("x", 60)}, {strings.Repeat("x", 61)}, {strings.Repeat("日", 40)}}))
	assert.Equal(t, "NAME\n"+strings.Repeat("x", 60)+"\n"+strings.Repeat("x", 59)+"…\n"+strings.Repeat("日", 29)+"…\n", out.String())
}

func TestTableShowsNoControlCharacters(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, console.NewTable(&out, "NAME").Write([][]string{{"a\x1b[31m\nb"}}))
	require.NoError(t, console.Fields(&out, [][2]string{{"Name", "a\x1b[31m\nb"}}))
	assert.Equal(t, "NAME\na�[31m�b\nName  a�[31m�b\n", out.String())
}

func TestReadSecret(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{"secret": "secret", "secret\n": "secret", "secret\r\n": "secret", " spaces ": " spaces "} {
		secret, err := console.ReadSecret(t.Context(), strings.NewReader(input), io.Discard, "Key: ")
		require.NoError(t, err, "%q", input)
		assert.Equal(t, want, secret.Reveal())
	}
	for _, input := range []string{"", "\n", "two\nlines", "two\rlines", "one\n\n", strings.Repeat("x", 4097)} {
		_, err := console.ReadSecret(t.Context(), strings.NewReader(input), io.Discard, "Key: ")
		assert.Error(t, err, "%q", input)
	}
}

func TestReadSecretEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		defer w.Close() // ends the read
		go func() {
			synctest.Wait()
			cancel()
		}()
		_, err := console.ReadSecret(ctx, r, io.Discard, "Key: ")
		assert.ErrorIs(t, err, context.Canceled)
	})
}

func TestProgressIsOnlyForTerminals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := console.StartProgress(&out, "Working")
		p.Set("Still working")
		synctest.Wait()
		p.End()
		p.End()
		assert.Empty(t, out.String())
	})
}
