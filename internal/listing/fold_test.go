package listing_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey/internal/listing"
)

func TestFold(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		a, b  string
		equal bool
	}{
		{"ASCII letters lose their case", "Backup JOB", "bACKUP job", true},
		{"punctuation stays the same", "a-1_b", "A-1 b", false},
		{"accented letters lose their case", "\u00c9t\u00e9", "\u00e9T\u00c9", true},
		{"an accented letter differs from its base letter", "\u00e9", "e", false},
		{"a composed letter differs from its parts", "\u00e9", "e\u0301", false},
		{"Greek and Cyrillic letters lose their case", "\u03a9\u0416", "\u03c9\u0436", true},
		{"the sharp s differs from ss", "\u00df", "ss", false},
		{"the sharp s equals its capital", "\u00df", "\u1e9e", true},
		{"the Kelvin sign equals k", "\u212a", "k", true},
		{"the Kelvin sign equals K", "\u212a", "K", true},
		{"the long s equals S", "\u017f", "S", true},
		{"the final sigma equals the capital sigma", "\u039f\u03a3", "\u03bf\u03c2", true},
		{"the final sigma equals the small sigma", "\u03c3", "\u03c2", true},
		{"the Turkish dotted capital differs from i", "\u0130", "i", false},
		{"the Turkish dotless small letter differs from I", "\u0131", "I", false},
		{"the Turkish letters differ from each other", "\u0130", "\u0131", false},
		{"a ligature differs from its letters", "\ufb01", "fi", false},
		{"a title-case letter equals its capital", "\u01c5", "\u01c4", true},
		{"letters beyond the basic plane lose their case", "\U00010400", "\U00010428", true},
		{"the empty string stays empty", "", "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := listing.Fold(test.a), listing.Fold(test.b)
			assert.Equal(t, test.equal, a == b, "Fold(%q) = %q and Fold(%q) = %q", test.a, a, test.b, b)
		})
	}
}

func TestFoldWritesASCIIInLowerCase(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "azaz[_09k", listing.Fold("AZaz[_09\u212a"), "Fold")
}

// Stores sort names by their folded text.
func TestFoldedNamesSortAsExpected(t *testing.T) {
	t.Parallel()
	want := []string{"9", "Z_a", "za", "ZB", "zc", "\u00e9", "\u0416"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, func(a, b string) int { return strings.Compare(listing.Fold(a), listing.Fold(b)) })
	assert.Equal(t, want, got, "sorted names")
}

func TestFoldIsIdempotent(t *testing.T) {
	t.Parallel()
	for r := rune(0); r <= utf8.MaxRune; r++ {
		folded := listing.Fold(string(r))
		if again := listing.Fold(folded); again != folded {
			t.Fatalf("Fold(%U) = %q, which folds to %q", r, folded, again)
		}
		if !strings.EqualFold(folded, string(r)) {
			t.Fatalf("Fold(%U) = %q, which is another letter", r, folded)
		}
	}
}

func FuzzFold(f *testing.F) {
	for _, pair := range [][2]string{
		{"Backup", "bACKUP"}, {"\u00df", "ss"}, {"\u212a", "k"}, {"\u03c3", "\u03c2"}, {"\u0130", "i"}, {"\u0131", "I"}, {"\xff", "\ufffd"}, {"", "a"},
	} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		foldedA, foldedB := listing.Fold(a), listing.Fold(b)
		if again := listing.Fold(foldedA); again != foldedA {
			t.Errorf("Fold(%q) = %q, which folds to %q", a, foldedA, again)
		}
		if !utf8.ValidString(foldedA) {
			t.Errorf("Fold(%q) = %q, which is not UTF-8", a, foldedA)
		}
		if utf8.ValidString(a) && utf8.ValidString(b) {
			if equal := strings.EqualFold(a, b); equal != (foldedA == foldedB) {
				t.Errorf("Fold(%q) = %q and Fold(%q) = %q; strings.EqualFold = %v", a, foldedA, b, foldedB, equal)
			}
		}
		// Folding does not depend on neighbouring letters.
		if utf8.ValidString(a) && listing.Fold(a+b) != foldedA+foldedB {
			t.Errorf("Fold(%q) = %q; want %q", a+b, listing.Fold(a+b), foldedA+foldedB)
		}
	})
}
