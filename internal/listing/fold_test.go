package listing_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/latchkey-dev/apikey/internal/listing"
)

func TestFold(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		a, b  string
		equal bool
	}{
		{"ASCII has no case", "Backup JOB", "bACKUP job", true},
		{"digits and signs stay themselves", "a-1_b", "A-1 b", false},
		{"neither do accented letters", "\u00c9t\u00e9", "\u00e9T\u00c9", true},
		{"an accent is a difference", "\u00e9", "e", false},
		{"a composed letter is not its parts", "\u00e9", "e\u0301", false},
		{"neither do Greek and Cyrillic", "\u03a9\u0416", "\u03c9\u0436", true},
		{"the sharp s is not a double s", "\u00df", "ss", false},
		{"the sharp s has a capital", "\u00df", "\u1e9e", true},
		{"the Kelvin sign is a k", "\u212a", "k", true},
		{"the Kelvin sign is a K", "\u212a", "K", true},
		{"the long s is an s", "\u017f", "S", true},
		{"the final sigma is a sigma", "\u039f\u03a3", "\u03bf\u03c2", true},
		{"the final sigma is the small one", "\u03c3", "\u03c2", true},
		{"the Turkish dotted capital is not an i", "\u0130", "i", false},
		{"the Turkish dotless small is not an I", "\u0131", "I", false},
		{"the Turkish letters are not each other", "\u0130", "\u0131", false},
		{"a ligature is not its letters", "\ufb01", "fi", false},
		{"a title-case letter is its capital", "\u01c5", "\u01c4", true},
		{"beyond the first plane there is case too", "\U00010400", "\U00010428", true},
		{"nothing is nothing", "", "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := listing.Fold(test.a), listing.Fold(test.b)
			if (a == b) != test.equal {
				t.Errorf("Fold(%q) is %q and Fold(%q) is %q; want equal: %v", test.a, a, test.b, b, test.equal)
			}
		})
	}
}

func TestFoldWritesASCIIInLowerCase(t *testing.T) {
	t.Parallel()
	if got := listing.Fold("AZaz[_09\u212a"); got != "azaz[_09k" {
		t.Errorf("got %q", got)
	}
}

// The order by name is that of folded text.
func TestFoldedNamesSortAsPeopleExpect(t *testing.T) {
	t.Parallel()
	want := []string{"9", "Z_a", "za", "ZB", "zc", "\u00e9", "\u0416"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, func(a, b string) int { return strings.Compare(listing.Fold(a), listing.Fold(b)) })
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFoldKeepsWhatIsFolded(t *testing.T) {
	t.Parallel()
	for r := rune(0); r <= utf8.MaxRune; r++ {
		folded := listing.Fold(string(r))
		if again := listing.Fold(folded); again != folded {
			t.Fatalf("%U folds to %q, and that to %q", r, folded, again)
		}
		if !strings.EqualFold(folded, string(r)) {
			t.Fatalf("%U folds to %q, which is another letter", r, folded)
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
			t.Errorf("%q folds to %q, and that to %q", a, foldedA, again)
		}
		if !utf8.ValidString(foldedA) {
			t.Errorf("%q folds to %q, which is not UTF-8", a, foldedA)
		}
		if utf8.ValidString(a) && utf8.ValidString(b) {
			if equal := strings.EqualFold(a, b); equal != (foldedA == foldedB) {
				t.Errorf("%q and %q fold to %q and %q; strings.EqualFold says %v", a, b, foldedA, foldedB, equal)
			}
		}
		// What the letters of a text are has nothing to do with their neighbours.
		if utf8.ValidString(a) && listing.Fold(a+b) != foldedA+foldedB {
			t.Errorf("%q folds to %q, its parts to %q and %q", a+b, listing.Fold(a+b), foldedA, foldedB)
		}
	})
}
