package takeover

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A record is a row of a table by the names of its columns in lower case. A column that is absent or NULL
// has the empty value.
type record map[string]any

// maxText is the size limit of a value in bytes, because a key and its fields are short.
const maxText = 16 << 10

// text returns a value as text.
func (r record) text(column string) string {
	switch v := r[strings.ToLower(column)].(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return string(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	default:
		return fmt.Sprint(v)
	}
}

// first returns the first text that is not empty.
func (r record) first(columns ...string) string {
	for _, column := range columns {
		if text := r.text(column); text != "" {
			return text
		}
	}
	return ""
}

// boolean returns a value of a boolean or integer column, or a default if it is NULL or absent.
func (r record) boolean(column string, otherwise bool) bool {
	switch strings.ToLower(r.text(column)) {
	case "":
		return otherwise
	case "0", "f", "false", "\x00":
		return false
	}
	return true
}

// time returns a time, or the zero time for a value that is not a time after 1970.
func (r record) time(column string) time.Time {
	t, _ := parseTime(r.text(column))
	return t
}

// layouts are the forms of times in text columns, which are in UTC unless they have a zone.
var layouts = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999 Z07:00",
	"2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999", time.DateOnly,
}

var errNoTime = errors.New("not a time after 1970")

// parseTime parses a time after 1970, or a number of seconds, milliseconds or microseconds since then. It returns the zero
// time for texts that mean no time: "", 0, infinity and the year 1. It refuses other times before 1970, because a key that
// expired then must not become a key that never expires.
func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		const seconds, milliseconds, latest = 1e11, 1e14, 9e18 // the year 5138 in the first two units
		switch {
		case math.IsInf(n, 1):
			return time.Time{}, nil
		case !(-latest < n && n < latest):
			return time.Time{}, errNoTime
		case n < seconds:
			n *= 1e6
		case n < milliseconds:
			n *= 1e3
		}
		return since1970(time.UnixMicro(int64(n)))
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			return since1970(t)
		}
	}
	return time.Time{}, errNoTime
}

func since1970(t time.Time) (time.Time, error) {
	switch {
	case t.Unix() > 0:
		return t.UTC(), nil
	case t.Unix() == 0 || t.Year() == 1:
		return time.Time{}, nil
	}
	return time.Time{}, errNoTime
}

// list returns the texts of a JSON array, or of a simple PostgreSQL array such as {a,"b"}.
func (r record) list(column string) (texts []string) {
	text := r.text(column)
	if json.Unmarshal([]byte(text), &texts) == nil {
		return texts
	}
	if inner, ok := strings.CutPrefix(text, "{"); ok && strings.HasSuffix(inner, "}") && !strings.Contains(inner, ":") {
		for part := range strings.SplitSeq(strings.TrimSuffix(inner, "}"), ",") {
			if part = strings.Trim(part, `"`); part != "" {
				texts = append(texts, part)
			}
		}
	}
	return texts
}

// firstTime returns the first time that is not zero.
func (r record) firstTime(columns ...string) time.Time {
	for _, column := range columns {
		if t := r.time(column); !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}
