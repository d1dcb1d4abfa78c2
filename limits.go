package apikey

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	maxLimits    = 8
	maxLimitName = 30                   // characters
	maxRequests  = 1_000_000_000        // of a Limit
	minPer       = time.Millisecond     // of a Limit
	maxPer       = 366 * 24 * time.Hour // of a Limit
)

// A Limit is the maximum number of requests that a key may make in a period. Package limit enforces
// limits. Exactly one of Per and Calendar is set.
type Limit struct {
	// Name identifies the limit in responses: 1 to 30 characters of a-z, 0-9, "_" and "-". It is unique
	// among the limits of a key. A changed limit with the same Name still counts earlier requests.
	Name string
	// Requests is the number of requests, from 1 to 1,000,000,000. A request may cost several.
	Requests int64
	// Per makes a rolling limit: Requests in this time, on average. From 1 ms to 366 days, in whole
	// microseconds.
	Per time.Duration
	// Burst is the number of requests that a rolling limit permits at once: 1 to 1,000,000,000, or 0
	// for Requests. In any time t the limit permits at most Burst + Requests × t / Per.
	Burst int64
	// Calendar makes a quota that is reset at the start of each "day" or "month" in UTC. It is "" for a
	// rolling limit.
	Calendar string
}

// String returns the limit as text, such as "api=100/1m0s+20" with the burst last, or
// "quota=10000/month". [ParseLimits] reads it.
func (l Limit) String() string {
	s := l.Name + "=" + strconv.FormatInt(l.Requests, 10) + "/"
	if l.Calendar != "" {
		return s + l.Calendar
	}
	s += l.Per.String()
	if l.Burst != 0 {
		s += "+" + strconv.FormatInt(l.Burst, 10)
	}
	return s
}

// ParseLimits parses limits in the form of [Limit.String], separated by spaces. The error wraps an
// [InvalidError].
func ParseLimits(text string) ([]Limit, error) {
	var all []Limit
	for word := range strings.FieldsSeq(text) {
		if len(all) == maxLimits {
			return nil, invalid("Limits", "more than %d", maxLimits)
		}
		l, err := parseLimit(word)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	if err := CheckLimits(all); err != nil {
		return nil, err
	}
	return all, nil
}

func parseLimit(word string) (l Limit, err error) {
	bad := func() (Limit, error) {
		return Limit{}, invalid("Limits", "%s: want a limit such as api=100/1m, api=100/1m+20 or quota=10000/month", quote(word))
	}
	name, rest, ok := strings.Cut(word, "=")
	requests, per, ok2 := strings.Cut(rest, "/")
	if !ok || !ok2 {
		return bad()
	}
	l.Name = name
	if l.Requests, err = strconv.ParseInt(requests, 10, 64); err != nil {
		return bad()
	}
	if isCalendar(per) {
		l.Calendar = per
		return l, nil
	}
	per, burst, hasBurst := strings.Cut(per, "+")
	if l.Per, err = time.ParseDuration(per); err != nil {
		return bad()
	}
	if hasBurst {
		if l.Burst, err = strconv.ParseInt(burst, 10, 64); err != nil || l.Burst == 0 {
			return bad()
		}
	}
	return l, nil
}

func isCalendar(s string) bool { return s == "day" || s == "month" }

// limitsProblem returns the problem with the limits of a key, or "".
func limitsProblem(limits []Limit) string {
	if len(limits) > maxLimits {
		return fmt.Sprintf("%d limits; want at most %d", len(limits), maxLimits)
	}
	for i, l := range limits {
		if problem := l.problem(); problem != "" {
			return fmt.Sprintf("%s: %s", quote(l.Name), problem)
		}
		for j := range i {
			if limits[j].Name == l.Name {
				return fmt.Sprintf("%s is listed twice", quote(l.Name))
			}
		}
	}
	return ""
}

func (l Limit) problem() string {
	named := l.Name != "" && len(l.Name) <= maxLimitName
	for i := range len(l.Name) {
		c := l.Name[i]
		named = named && ('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '-')
	}
	switch {
	case !named:
		return fmt.Sprintf("want a name of 1 to %d characters of a-z, 0-9, _ and -", maxLimitName)
	case l.Requests < 1 || l.Requests > maxRequests:
		return fmt.Sprintf("%d requests; want 1 to %d", l.Requests, maxRequests)
	case l.Calendar != "" && !isCalendar(l.Calendar):
		return fmt.Sprintf("Calendar %s; want day or month", quote(l.Calendar))
	case l.Calendar != "" && (l.Per != 0 || l.Burst != 0):
		return "Calendar is set with Per or Burst; want one kind of limit"
	case l.Calendar != "":
		return ""
	case l.Per < minPer || l.Per > maxPer:
		return fmt.Sprintf("Per %v; want %v to %v, or a Calendar", l.Per, minPer, maxPer)
	case l.Per%time.Microsecond != 0:
		return fmt.Sprintf("Per %v; want whole microseconds", l.Per)
	case l.Burst < 0 || l.Burst > maxRequests:
		return fmt.Sprintf("Burst %d; want 1 to %d, or 0 for Requests", l.Burst, maxRequests)
	}
	return ""
}

func limitsText(limits []Limit) string {
	words := make([]string, len(limits))
	for i, l := range limits {
		words[i] = l.String()
	}
	return strings.Join(words, " ")
}

// CheckLimits returns an error that wraps an [InvalidError] if a key cannot have these limits.
func CheckLimits(limits []Limit) error {
	if problem := limitsProblem(limits); problem != "" {
		return invalid("Limits", "%s", problem)
	}
	return nil
}
