package apikey

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// textProblem returns the rule that a new text breaks, or "". limit is the maximum number of
// characters.
func textProblem(s string, limit int) string {
	if problem := storageProblem(s, limit); problem != "" {
		return problem
	}
	for i, r := range s {
		if isInvisible(r) && !isNeeded(s[:i], r, s[i+utf8.RuneLen(r):]) {
			return fmt.Sprintf("contains the invisible character %U", r)
		}
	}
	return ""
}

// storageProblem returns the rule for stored text that s breaks, or "". The keys of earlier versions
// may contain text that textProblem refuses, but no text that storageProblem refuses.
func storageProblem(s string, limit int) string {
	// The number of bytes is compared first, because counting the characters of megabytes takes long.
	if len(s) > limit*utf8.UTFMax || utf8.RuneCountInString(s) > limit {
		return fmt.Sprintf("more than %d characters", limit)
	}
	if !utf8.ValidString(s) {
		return "not valid UTF-8"
	}
	for _, r := range s {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) {
			return fmt.Sprintf("contains the control character %U", r)
		}
	}
	return ""
}

// isBlank reports whether s has only characters without ink: spaces, format characters such as
// joiners, and the braille pattern without dots.
func isBlank(s string) bool {
	for _, r := range s {
		if !unicode.IsSpace(r) && !unicode.Is(unicode.Cf, r) && r != 0x2800 {
			return false
		}
	}
	return true
}

// isInvisible reports whether r has no glyph of its own. It follows Default_Ignorable_Code_Point in
// Unicode's DerivedCoreProperties.txt, but includes all format characters.
// Prepended_Concatenation_Marks are the exception, because they are visible around the digits after
// them.
func isInvisible(r rune) bool {
	return r >= 0x80 && (unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, blanks) ||
		unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r))
}

// blanks are characters without ink that Default_Ignorable_Code_Point does not include: the filler of
// the Khitan small script and the null notehead of musical notation.
var blanks = &unicode.RangeTable{
	R32: []unicode.Range32{
		{0x16FE4, 0x16FE4, 1}, {0x1D159, 0x1D159, 1},
	},
}

const (
	nonJoiner = 0x200C
	joiner    = 0x200D
	emojiLook = 0xFE0F // variation selector 16
	keycap    = 0x20E3
	blackFlag = "\U0001F3F4"
)

// isNeeded reports whether the invisible character r changes how the text looks between before and
// after.
func isNeeded(before string, r rune, after string) bool {
	prev, _ := utf8.DecodeLastRuneInString(before)
	next, _ := utf8.DecodeRuneInString(after)
	switch {
	case r == nonJoiner:
		// RFC 5892 appendix A.1.
		return unicode.Is(viramas, prev) && unicode.IsLetter(next) || preventsJoining(before, after)
	case r == joiner:
		// RFC 5892 appendix A.2, the Bengali letter RA before its sign YA, and emoji.
		return unicode.Is(viramas, prev) || prev == 0x09B0 && next == 0x09CD ||
			endsInPictograph(before) && unicode.Is(pictographs, next)
	case r == emojiLook:
		return unicode.Is(pictographs, prev) || next == keycap && strings.ContainsRune("0123456789#*", prev)
	case isTag(r):
		return isFlag(before, r, after)
	case r == 0x200E || r == 0x200F || r == 0x061C:
		// A direction mark moves punctuation, spaces and digits beside it. Between letters it has
		// no effect.
		return containsRightToLeft(before+after) && (isNeutral(prev) || isNeutral(next))
	}
	return false
}

// preventsJoining reports whether a non-joiner between these texts separates two letters of the Arabic
// script that would otherwise be joined.
func preventsJoining(before, after string) bool {
	marks := func(r rune) bool { return unicode.Is(unicode.Mn, r) && !isInvisible(r) }
	prev, _ := utf8.DecodeLastRuneInString(strings.TrimRightFunc(before, marks))
	next, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(after, marks))
	const hamza, highHamza = 0x0621, 0x0674
	return unicode.Is(dualJoining, prev) && unicode.Is(unicode.Arabic, next) && unicode.IsLetter(next) &&
		next != hamza && next != highHamza
}

// endsInPictograph reports whether s ends in an emoji to which another one can be joined.
func endsInPictograph(s string) bool {
	prev, size := utf8.DecodeLastRuneInString(s)
	if skinTone := 0x1F3FB <= prev && prev <= 0x1F3FF; skinTone || prev == emojiLook {
		prev, _ = utf8.DecodeLastRuneInString(s[:len(s)-size])
	}
	return unicode.Is(pictographs, prev)
}

func isTag(r rune) bool { return 0xE0020 <= r && r <= 0xE007F }

// isFlag reports whether the tag r is a part of the flag of England, Scotland or Wales. Unicode
// recommends only these emoji tag sequences for general interchange (UTS #51).
func isFlag(before string, r rune, after string) bool {
	start := strings.TrimRightFunc(before, isTag)
	if !strings.HasSuffix(start, blackFlag) {
		return false
	}
	tags := before[len(start):] + string(r) + after[:len(after)-len(strings.TrimLeftFunc(after, isTag))]
	country := strings.Map(func(r rune) rune { return r - 0xE0000 }, tags)
	return country == "gbeng\x7f" || country == "gbsct\x7f" || country == "gbwls\x7f"
}

// isNeutral reports whether r takes its direction from the text around it.
func isNeutral(r rune) bool {
	return r != utf8.RuneError && !unicode.In(r, unicode.L, unicode.M) && !isInvisible(r)
}

// containsRightToLeft reports whether s contains a letter of a right-to-left script.
func containsRightToLeft(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return unicode.In(r, unicode.Arabic, unicode.Hebrew, unicode.Syriac, unicode.Thaana, unicode.Nko, unicode.Adlam) && unicode.IsLetter(r)
	})
}

// viramas are the signs of the scripts of India and Sri Lanka that a joiner or a non-joiner may follow
// (Canonical_Combining_Class 9).
var viramas = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x094D, 0x094D, 1}, {0x09CD, 0x09CD, 1}, {0x0A4D, 0x0A4D, 1}, {0x0ACD, 0x0ACD, 1}, {0x0B4D, 0x0B4D, 1},
		{0x0BCD, 0x0BCD, 1}, {0x0C4D, 0x0C4D, 1}, {0x0CCD, 0x0CCD, 1}, {0x0D4D, 0x0D4D, 1}, {0x0DCA, 0x0DCA, 1},
	},
}

// dualJoining are the letters of the Arabic script with Joining_Type D in Unicode's
// DerivedJoiningType.txt.
var dualJoining = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x0620, 0x0620, 1}, {0x0626, 0x0626, 1}, {0x0628, 0x0628, 1}, {0x062A, 0x062E, 1}, {0x0633, 0x063F, 1},
		{0x0641, 0x0647, 1}, {0x0649, 0x064A, 1}, {0x066E, 0x066F, 1}, {0x0679, 0x0687, 1}, {0x069A, 0x06BF, 1},
		{0x06C1, 0x06C2, 1}, {0x06CC, 0x06CC, 1}, {0x06CE, 0x06CE, 1}, {0x06D0, 0x06D1, 1}, {0x06FA, 0x06FC, 1},
		{0x06FF, 0x06FF, 1}, {0x0750, 0x0758, 1}, {0x075C, 0x076A, 1}, {0x076D, 0x0770, 1}, {0x0772, 0x0772, 1},
		{0x0775, 0x0777, 1}, {0x077A, 0x077F, 1}, {0x0886, 0x0886, 1}, {0x0889, 0x088D, 1}, {0x08A0, 0x08A9, 1},
		{0x08AF, 0x08B0, 1}, {0x08B3, 0x08B8, 1}, {0x08BA, 0x08C8, 1},
	},
}

// pictographs are the characters with Extended_Pictographic in Unicode's emoji-data.txt.
var pictographs = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x00A9, 0x00A9, 1}, {0x00AE, 0x00AE, 1}, {0x203C, 0x203C, 1}, {0x2049, 0x2049, 1}, {0x2122, 0x2122, 1},
		{0x2139, 0x2139, 1}, {0x2194, 0x2199, 1}, {0x21A9, 0x21AA, 1}, {0x231A, 0x231B, 1}, {0x2328, 0x2328, 1},
		{0x2388, 0x2388, 1}, {0x23CF, 0x23CF, 1}, {0x23E9, 0x23F3, 1}, {0x23F8, 0x23FA, 1}, {0x24C2, 0x24C2, 1},
		{0x25AA, 0x25AB, 1}, {0x25B6, 0x25B6, 1}, {0x25C0, 0x25C0, 1}, {0x25FB, 0x25FE, 1}, {0x2600, 0x2605, 1},
		{0x2607, 0x2612, 1}, {0x2614, 0x2685, 1}, {0x2690, 0x2705, 1}, {0x2708, 0x2712, 1}, {0x2714, 0x2714, 1},
		{0x2716, 0x2716, 1}, {0x271D, 0x271D, 1}, {0x2721, 0x2721, 1}, {0x2728, 0x2728, 1}, {0x2733, 0x2734, 1},
		{0x2744, 0x2744, 1}, {0x2747, 0x2747, 1}, {0x274C, 0x274C, 1}, {0x274E, 0x274E, 1}, {0x2753, 0x2755, 1},
		{0x2757, 0x2757, 1}, {0x2763, 0x2767, 1}, {0x2795, 0x2797, 1}, {0x27A1, 0x27A1, 1}, {0x27B0, 0x27B0, 1},
		{0x27BF, 0x27BF, 1}, {0x2934, 0x2935, 1}, {0x2B05, 0x2B07, 1}, {0x2B1B, 0x2B1C, 1}, {0x2B50, 0x2B50, 1},
		{0x2B55, 0x2B55, 1}, {0x3030, 0x3030, 1}, {0x303D, 0x303D, 1}, {0x3297, 0x3297, 1}, {0x3299, 0x3299, 1},
	},
	R32: []unicode.Range32{
		{0x1F000, 0x1F0FF, 1}, {0x1F10D, 0x1F10F, 1}, {0x1F12F, 0x1F12F, 1}, {0x1F16C, 0x1F171, 1}, {0x1F17E, 0x1F17F, 1},
		{0x1F18E, 0x1F18E, 1}, {0x1F191, 0x1F19A, 1}, {0x1F1AD, 0x1F1E5, 1}, {0x1F201, 0x1F20F, 1}, {0x1F21A, 0x1F21A, 1},
		{0x1F22F, 0x1F22F, 1}, {0x1F232, 0x1F23A, 1}, {0x1F23C, 0x1F23F, 1}, {0x1F249, 0x1F3FA, 1}, {0x1F400, 0x1F53D, 1},
		{0x1F546, 0x1F64F, 1}, {0x1F680, 0x1F6FF, 1}, {0x1F774, 0x1F77F, 1}, {0x1F7D5, 0x1F7FF, 1}, {0x1F80C, 0x1F80F, 1},
		{0x1F848, 0x1F84F, 1}, {0x1F85A, 0x1F85F, 1}, {0x1F888, 0x1F88F, 1}, {0x1F8AE, 0x1F8FF, 1}, {0x1F90C, 0x1F93A, 1},
		{0x1F93C, 0x1F945, 1}, {0x1F947, 0x1FAFF, 1}, {0x1FC00, 0x1FFFD, 1},
	},
	LatinOffset: 2,
}
