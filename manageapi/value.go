package manageapi

import (
	"encoding/json"
	"math"
	"net/netip"
	"strconv"
	"time"

	"github.com/latchkey-dev/apikey"
)

// A parser stores a JSON value. It leaves the zero value for null.
type parser[T any] func(value json.RawMessage, to *T) error

// into returns the function of a member whose value parse stores.
func into[T any](to *T, parse parser[T]) func(json.RawMessage) error {
	return func(value json.RawMessage) error { return parse(value, to) }
}

// change returns the function of a member of a merge patch. null sets the zero value.
func change[T any](to **T, parse parser[T]) func(json.RawMessage) error {
	return func(value json.RawMessage) error {
		*to = new(T)
		return parse(value, *to)
	}
}

func isNull(value json.RawMessage) bool { return string(value) == "null" }

func parseText(value json.RawMessage, to *string) error {
	if json.Unmarshal(value, to) != nil {
		return malformed("Want a string.")
	}
	return nil
}

func parseTexts(value json.RawMessage, to *[]string) error {
	if json.Unmarshal(value, to) != nil {
		return malformed("Want an array of strings.")
	}
	return nil
}

func parseNetworks(value json.RawMessage, to *[]netip.Prefix) error {
	var texts []string
	if err := parseTexts(value, &texts); err != nil {
		return err
	}
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return invalid("want networks such as 192.0.2.0/24 or 2001:db8::/32")
		}
		*to = append(*to, network)
	}
	return nil
}

func parseMoment(value json.RawMessage, to *time.Time) error {
	if isNull(value) {
		return nil
	}
	var text string
	if err := parseText(value, &text); err != nil {
		return err
	}
	var err error
	*to, err = parseTime(text)
	return err
}

// parseWhole stores a whole number, for which JSON has several forms, such as 3600.0.
func parseWhole(value json.RawMessage, to *int64) error {
	var n float64
	if json.Unmarshal(value, &n) != nil || n != math.Trunc(n) {
		return malformed("Want a whole number.")
	}
	if math.Abs(n) > 1e15 {
		return invalid("want a whole number up to 1000000000000000")
	}
	*to = int64(n)
	return nil
}

// parseSeconds stores a duration to the microsecond.
func parseSeconds(value json.RawMessage, to *time.Duration) error {
	var seconds float64
	if json.Unmarshal(value, &seconds) != nil {
		return malformed("Want a number of seconds.")
	}
	const most = 100 * 365 * 24 * 60 * 60 // a century, below the limit of time.Duration
	if seconds < 0 || seconds > most {
		return invalid("want 0 to 3153600000 seconds")
	}
	*to = time.Duration(math.Round(seconds*1e6)) * time.Microsecond
	return nil
}

func parseLimits(value json.RawMessage, to *[]apikey.Limit) error {
	var list []json.RawMessage
	if json.Unmarshal(value, &list) != nil {
		return malformed("Want an array of objects.")
	}
	for i, object := range list {
		var l apikey.Limit
		if err := (members{
			"name":     into(&l.Name, parseText),
			"requests": into(&l.Requests, parseWhole),
			"per":      into(&l.Per, parseSeconds),
			"burst":    into(&l.Burst, parseWhole),
			"calendar": into(&l.Calendar, parseText),
		}).parse(object); err != nil {
			return named(err, strconv.Itoa(i))
		}
		*to = append(*to, l)
	}
	return nil
}

// A metadataPatch maps names to new values; nil removes a name.
type metadataPatch map[string]*string

func parseMetadataPatch(value json.RawMessage, to *metadataPatch) error {
	*to = metadataPatch{}
	return each(value, func(name string, value json.RawMessage) error {
		if isNull(value) {
			(*to)[name] = nil
			return nil
		}
		text := new(string)
		(*to)[name] = text
		if err := parseText(value, text); err != nil {
			return named(err, shortened(name))
		}
		return nil
	})
}

func parseMetadata(value json.RawMessage, to *map[string]string) error {
	if isNull(value) {
		return nil
	}
	var patch metadataPatch
	if err := parseMetadataPatch(value, &patch); err != nil {
		return err
	}
	*to = patch.apply(nil)
	return nil
}

// apply returns the metadata of a key after the patch (RFC 7396 section 2).
func (p metadataPatch) apply(metadata map[string]string) map[string]string {
	changed := map[string]string{}
	for name, value := range metadata {
		changed[name] = value
	}
	for name, value := range p {
		if value == nil {
			delete(changed, name)
		} else {
			changed[name] = *value
		}
	}
	return changed
}
