package apikey_test

import (
	"fmt"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

func validName(name string) error {
	key := apikey.Key{ID: "id", Name: name}
	return key.Validate()
}

// ignorable reports whether r has the property Default_Ignorable_Code_Point, as
// DerivedCoreProperties.txt derives it.
func ignorable(r rune) bool {
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Cf, unicode.Variation_Selector) &&
		!unicode.In(r, unicode.White_Space, unicode.Prepended_Concatenation_Mark) &&
		!(0xFFF9 <= r && r <= 0xFFFB) && !(0x13430 <= r && r <= 0x13440)
}

func TestInvisibleCharactersAreRefused(t *testing.T) {
	t.Parallel()
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if !ignorable(r) {
			continue
		}
		for _, name := range []string{"a%cb", "%ca", "a%c", "7%c", "日%c本", "🔑🔑%[1]c%[1]c"} {
			name := fmt.Sprintf(name, r)
			assert.Error(t, validName(name), "%+q", name)
		}
	}
	for _, r := range []rune{0xFFF9, 0x13430, 0x16FE4, 0x1D159} {
		assert.Error(t, validName(fmt.Sprintf("a%cb", r)), "%U", r)
	}
}

func TestNeededInvisibleCharactersAreValid(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"👨\u200d👩\u200d👧\u200d👦 family", "👩🏽\u200d💻", "🏳\ufe0f\u200d🌈", "🏴\u200d☠\ufe0f", "👁\ufe0f\u200d🗨\ufe0f", "🧑\u200d🤝\u200d🧑", "❤\ufe0f\u200d🔥",
		"❤\ufe0f", "⭐\ufe0f", "1\ufe0f\u20e3", "#\ufe0f\u20e3", "🇩🇪", "👍🏿",
		"🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", "🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f Cymru",
		"می\u200cخواهم", "کتاب\u200cخانه", "پشتیبان\u200cگیری", "خانه\u200cها",
		"क्\u200cष", "क्\u200dष", "ශ්\u200dරී ලංකා", "র\u200d্যাম", "അവന്\u200d",
		"مفتاح\u200f احتياطي", "\u200f(مفتاح) 2", "שרת C++\u200f ראשי",
		"Übung", "日本語の鍵", "ключ", "กุญแจ", "e\u0301", "İıſK", "a b", "؀١",
	} {
		assert.NoError(t, validName(name), "%+q", name)
	}
}

// Each name looks like another, shorter one.
func TestLookalikeNamesAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"admin\u200c", "ad\u200dmin", "admin\ufe0f", "admin\ufe00", "ad\u034fmin", "1\ufe0f", "1\ufe0f\ufe0f\u20e3", "a\ufe0f\u20e3",
		"❤\ufe0f\ufe0f", "❤\ufe0e", "🔑\u200d", "\u200d🔑", "🔑\u200da", "🔑\u200d\u200d🔑", "🔑 \u200d🔑",
		"admin\U000e0067\U000e007f", "🏴\U000e0061\U000e007f", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067", "🏴\U000e007f",
		"🔑\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "🏴x\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
		"دا\u200cر", "می\u200c", "می\u200c ", "می\u200c\u200cخواهم", "می\u200dخواهم", "क\u200cष", "क्\u200c", "र\u200dय", "র\u200dয",
		"admin\u200e", "admin\u200f 1", "مفتاح\u200f", "مفت\u200fاح", "مفتاح\u200f\u200f احتياطي", "مفتاح\u061cاحتياطي",
	} {
		assert.Error(t, validName(name), "%+q", name)
	}
}

// An earlier version accepted names that are invalid today.
func TestKeysOfEarlierVersionsCanBeChanged(t *testing.T) {
	t.Parallel()
	old := apikey.Key{ID: "old", Name: "ad\u034fmin", Owner: "ad\u034fmin", Metadata: map[string]string{"k": "\ufe00"}}
	require.Error(t, old.Validate())

	scopes := []string{"read"}
	changed, err := apikey.Patch{Scopes: &scopes}.Apply(old, time.Now())
	require.NoError(t, err, "Update")
	assert.Equal(t, old.Name, changed.Name)
	name := "admin"
	_, err = apikey.Patch{Name: &name}.Apply(old, time.Now())
	require.NoError(t, err, "a valid name")
	_, err = apikey.Patch{Name: &old.Name}.Apply(old, time.Now())
	require.ErrorIs(t, err, apikey.ErrInvalid, "the invalid name again")

	now := old.CreatedAt.AddDate(2030, 0, 0)
	_, next, err := old.ReplacedBy(now, now.AddDate(0, 0, 1), apikey.Key{ID: "new", CreatedAt: now}, apikey.Lineage{})
	require.NoError(t, err, "Replace")
	assert.Equal(t, old.Name, next.Name)

	_, err = memstore.New().List(t.Context(), apikey.ListOptions{Owner: old.Owner, Search: old.Name})
	require.NoError(t, err, "List")
}
