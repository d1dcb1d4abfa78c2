package manageapi

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/latchkey-dev/apikey"
)

// parameters maps the names of query parameters to functions that store their values.
type parameters map[string]func(value string) error

func listOptions(query string) (o apikey.ListOptions, err error) {
	err = parameters{
		"owner":          text(&o.Owner),
		"scope":          text(&o.Scope),
		"search":         text(&o.Search),
		"status":         text(&o.Status),
		"sort":           text(&o.Sort),
		"cursor":         text(&o.Cursor),
		"limit":          pageSize(&o.Limit),
		"expires_before": moment(&o.ExpiresBefore),
		"unused_since":   moment(&o.UnusedSince),
	}.parse(query)
	return o, err
}

func auditOptions(query string) (o apikey.AuditOptions, err error) {
	err = parameters{"cursor": text(&o.Cursor), "limit": pageSize(&o.Limit)}.parse(query)
	return o, err
}

// noParameters refuses a query with parameters.
func (c *call) noParameters() error { return parameters{}.parse(c.r.URL.RawQuery) }

// parse stores the values of a query. An empty value is refused, because a script whose variable is
// empty would otherwise select the keys of all owners.
func (p parameters) parse(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return malformed("The query is malformed.")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		store, ok := p[name]
		switch {
		case !ok:
			return malformed("The parameter is unknown.").about(shortened(name))
		case len(values[name]) > 1:
			return malformed("The parameter has several values.").about(name)
		case values[name][0] == "":
			return malformed("The parameter is empty. Omit it instead.").about(name)
		}
		if err := store(values[name][0]); err != nil {
			return named(err, name)
		}
	}
	return nil
}

func text[T ~string](to *T) func(string) error {
	return func(value string) error {
		*to = T(value)
		return nil
	}
}

func pageSize(to *int) func(string) error {
	return func(value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return invalid("want a whole number from 1 to 500")
		}
		*to = n
		return nil
	}
}

func moment(to *time.Time) func(string) error {
	return func(value string) (err error) {
		*to, err = parseTime(value)
		return err
	}
}

// parseTime parses a time in RFC 3339 format. It refuses the zero time, which some clients send for a
// missing value and which would mean "never".
func parseTime(value string) (t time.Time, err error) {
	if t.UnmarshalText([]byte(value)) != nil || t.IsZero() {
		return time.Time{}, invalid("want a time such as 2026-01-31T12:00:00Z, not before 1970")
	}
	return t, nil
}
