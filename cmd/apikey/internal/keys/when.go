package keys

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxDuration is the longest duration of an argument: a century, below the limit of time.Duration.
const maxDuration = 100 * 365 * 24 * time.Hour

var units = map[byte]time.Duration{'w': 7 * 24 * time.Hour, 'd': 24 * time.Hour, 'h': time.Hour, 'm': time.Minute, 's': time.Second}

// parseDuration parses a duration such as 90d, 12h or 1w2d: whole numbers of weeks, days, hours, minutes and
// seconds. A day has 24 hours. The duration is from 0 to a century; 0 needs no unit.
func parseDuration(text string) (time.Duration, error) {
	if text == "0" {
		return 0, nil
	}
	wrong := fmt.Errorf("%.40q: want a duration such as 90d, 12h or 1w2d", text)
	if text == "" {
		return 0, wrong
	}
	var total time.Duration
	for rest := text; rest != ""; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if digits == 0 || digits == len(rest) || units[rest[digits]] == 0 {
			return 0, wrong
		}
		number := time.Duration(0)
		for _, digit := range rest[:digits] {
			number = min(maxDuration/10, number)*10 + time.Duration(digit-'0') // cannot overflow
		}
		unit := units[rest[digits]]
		if number > (maxDuration-total)/unit {
			return 0, fmt.Errorf("%.40q: want at most 36500d", text)
		}
		total += number * unit
		rest = rest[digits+1:]
	}
	return total, nil
}

// dateForms are the forms of a time in an argument. All except the last are in the time zone of the user.
var dateForms = []string{time.DateOnly, "2006-01-02 15:04", "2006-01-02T15:04", time.DateTime, "2006-01-02T15:04:05", time.RFC3339}

// parseDate parses a time after 1970, or a date, which means its first moment.
func parseDate(text string) (time.Time, error) {
	for _, form := range dateForms {
		t, err := time.ParseInLocation(form, text, time.Local)
		if err != nil {
			continue
		}
		if t.Unix() <= 0 {
			return time.Time{}, fmt.Errorf("%.40q: want a time after 1970", text)
		}
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%.40q: want a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z", text)
}

// after returns the time of an argument that is a date or the duration until then.
func after(text string, now time.Time) (time.Time, error) { return relative(text, now, 1) }

// before returns the time of an argument that is a date or the duration since then.
func before(text string, now time.Time) (time.Time, error) { return relative(text, now, -1) }

func relative(text string, now time.Time, sign time.Duration) (time.Time, error) {
	date, err := parseDate(text)
	if err == nil {
		return date, nil
	}
	duration, notDuration := parseDuration(text)
	if notDuration != nil {
		return time.Time{}, errors.New(strings.Replace(err.Error(), "want a date", "want a duration such as 90d, a date", 1))
	}
	return now.Add(sign * duration), nil
}
