package emby

import (
	"net/url"
	"strings"
)

// A reader is the parser of another program. It returns every value that the program could read as
// the token of the text after the scheme, because versions of the program use different values.
type reader func(text string) (tokens []string)

var readers = map[string]reader{
	"Jellyfin": readAsJellyfin,
	"Emby":     readAsEmby,
	"RFC 9110": readAsRFC9110,
}

// readAsJellyfin behaves like AuthorizationContext.GetParts of Jellyfin 10.8 to 10.11. An empty
// value does not end a parameter, so the text after the next comma becomes its value. Unlike
// Jellyfin, it also trims spaces around the quotes.
func readAsJellyfin(text string) (tokens []string) {
	escaped, start, name := false, 0, ""
	set := func(end int) {
		if start >= end {
			return
		}
		if strings.EqualFold(name, "Token") {
			tokens = append(tokens, formDecode(strings.Trim(text[start:end], "\" \t")))
		}
		name = ""
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"':
			escaped = !escaped
		case c == ',' && !escaped:
			set(i)
			start = i + 1
		case c == '=' && !escaped:
			name = strings.TrimSpace(text[start:i])
			start = i + 1
		}
	}
	set(len(text))
	return tokens
}

// formDecode behaves like .NET's WebUtility.UrlDecode, which keeps malformed escapes.
func formDecode(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			out.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s):
			if decoded, err := url.PathUnescape(s[i : i+3]); err == nil {
				out.WriteString(decoded)
				i += 2
				continue
			}
			fallthrough
		default:
			out.WriteByte(s[i])
		}
	}
	return out.String()
}

// readAsEmby behaves like AuthorizationContext.GetAuthorization of the last open-source version of
// Emby, which splits at every comma. Unlike Emby, it decodes the value and trims the name.
func readAsEmby(text string) (tokens []string) {
	for item := range strings.SplitSeq(text, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(item), "=")
		if found && strings.EqualFold(strings.TrimSpace(name), "Token") {
			tokens = append(tokens, valueOf(strings.Trim(value, `"`)))
		}
	}
	return tokens
}

// readAsRFC9110 parses auth-params, whose quoted-strings contain quoted-pairs (RFC 9110 section 11.2).
func readAsRFC9110(text string) (tokens []string) {
	for text != "" {
		text = strings.TrimLeft(text, ", \t")
		end := strings.IndexAny(text, ",=")
		if end < 0 {
			return tokens
		}
		name := strings.Trim(text[:end], " \t")
		isParameter := text[end] == '='
		text = text[end+1:]
		if !isParameter {
			continue
		}
		text = strings.TrimLeft(text, " \t")
		var value strings.Builder
		if strings.HasPrefix(text, `"`) {
			i := 1
			for ; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' && i+1 < len(text) {
					i++
				}
				value.WriteByte(text[i])
			}
			text = text[min(i+1, len(text)):]
		} else {
			end := strings.IndexAny(text+",", ", \t")
			value.WriteString(text[:end])
			text = text[end:]
		}
		if strings.EqualFold(name, "Token") {
			tokens = append(tokens, valueOf(value.String()))
		}
		if _, rest, found := strings.Cut(text, ","); found {
			text = rest
		} else {
			text = ""
		}
	}
	return tokens
}

// othersRead returns the tokens that the readers find in the lines of a field, by the name of the
// reader. It applies every reader to each line and to all lines joined.
func othersRead(lines []string) map[string][]string {
	found := map[string][]string{}
	for _, line := range append([]string{strings.Join(lines, ",")}, lines...) {
		scheme, text, ok := strings.Cut(strings.Trim(line, " \t"), " ")
		if scheme = strings.ToLower(scheme); !ok || scheme != "emby" && scheme != "mediabrowser" {
			continue
		}
		for name, read := range readers {
			for _, token := range read(text) {
				isVisible := !strings.ContainsFunc(token, func(r rune) bool { return r < '!' || r > '~' })
				if token != "" && isVisible { // no server has other keys
					found[name] = append(found[name], token)
				}
			}
		}
	}
	return found
}
