package admin

import (
	"cmp"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

// check returns the values of the form and sets its problems. key is the key that is edited, or nil.
func (v *visit) check(p *keyForm, key *apikey.Key) apikey.NewKey {
	if v.own() {
		p.Owner, p.Limits = v.access().Owner, ""
		if key != nil {
			p.Limits = limitsText(key.Limits)
		}
	}
	values := apikey.NewKey{Name: p.Name, Owner: p.Owner, Scopes: p.allScopes()}
	if p.changed("name") {
		values.Name = strings.TrimSpace(p.Name)
	}
	if p.changed("owner") {
		values.Owner = strings.TrimSpace(p.Owner)
	}
	var expiryProblem, networkProblem, limitsProblem, metadataProblem string
	if p.Date != "" && p.Expiry != dateExpiry {
		// The dashboard must not drop a date silently. It empties the field, because the page may hide it.
		p.Date, expiryProblem = "", v.t("You entered a day, but did not choose “On a date”. Choose it and enter the day again, or continue without a day.")
	} else {
		values.ExpiresAt, expiryProblem = v.expiry(p, key)
	}
	values.Networks, networkProblem = v.typedNetworks(p.Networks)
	values.Limits, limitsProblem = v.typedLimits(p.Limits)
	var bad string
	if values.Metadata, bad = parseMetadata(p.Metadata); bad != "" {
		metadataProblem = v.t("Enter each name once, as “name=value”. Check the line “%s”.", bad)
	}
	add := func(field, word string) {
		if (p.changed(field) || field == "expiry") && word != "" && p.Problem(field) == "" {
			p.Problems = append(p.Problems, problem{field, word})
		}
	}
	// Key.Validate decides, for one field at a time.
	check := func(field, word string, key apikey.Key) {
		if key.ID = "new"; errors.Is(key.Validate(), apikey.ErrInvalid) {
			add(field, word)
		}
	}
	check("name", v.t("Enter a name of 1 to 100 characters, without control characters."), apikey.Key{Name: values.Name})
	check("scopes", v.t("Enter at most 100 scopes, each of at most 100 visible ASCII characters other than \" and \\."), apikey.Key{Name: "x", Scopes: values.Scopes})
	var added []string
	if added = values.Scopes; key != nil {
		added = without(added, key.Scopes)
	}
	if unknown := v.outsideCatalogue(added); unknown != "" {
		add("scopes", v.t("This service has no scope “%s”.", unknown))
	} else if _, closed := v.offered(); !closed {
		var confirmed bool
		if p.Unknown, confirmed = v.unknownScopes(added, p.Confirmed); !confirmed {
			add("scopes", v.t("This service does not list all of these scopes. Check the spelling, or confirm them."))
		}
	}
	check("owner", v.t("Enter an owner of at most 100 characters, without control characters."), apikey.Key{Name: "x", Owner: values.Owner})
	add("networks", networkProblem)
	check("networks", v.t("Enter at most 100 networks."), apikey.Key{Name: "x", Networks: values.Networks})
	add("limits", limitsProblem)
	add("metadata", metadataProblem)
	check("metadata", v.t("Enter at most 4 KiB, without control characters."), apikey.Key{Name: "x", Metadata: values.Metadata})
	add("expiry", expiryProblem)
	return values
}

// outsideCatalogue returns the first scope that the Issuer does not know.
func (v *visit) outsideCatalogue(scopes []string) string {
	for _, scope := range scopes {
		if v.h.desk.Issuer().CheckScopes([]string{scope}) != nil {
			return scope
		}
	}
	return ""
}

// unknownScopes returns the scopes outside Options.Scopes, and whether the administrator has confirmed
// all of them. A misspelled scope would permit nothing, or something else.
func (v *visit) unknownScopes(scopes, confirmed []string) (unknown []choice, all bool) {
	all = true
	isConfirmed := setOf(confirmed)
	for _, scope := range scopes {
		if len(v.h.scopes) > 0 && !slices.Contains(v.h.scopes, scope) {
			yes := isConfirmed[scope]
			unknown, all = append(unknown, choice{Value: scope, Word: v.t("Use “%s” anyway", scope), Chosen: yes}), all && yes
		}
	}
	return unknown, all
}

// typedNetworks returns the networks in a text, separated as scopes are, or the problem with one. An
// address is the network of only that address.
func (v *visit) typedNetworks(text string) (networks []netip.Prefix, problem string) {
	for _, word := range typedScopes(text) {
		network, err := netip.ParsePrefix(word)
		if addr, addrErr := netip.ParseAddr(word); addrErr == nil && addr.Zone() == "" {
			network, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		key := apikey.Key{ID: "new", Name: "x", Networks: []netip.Prefix{network}}
		switch {
		case err == nil && network != network.Masked():
			return nil, v.t("“%s” has host bits set. Enter “%s”.", word, network.Masked().String())
		case err != nil || key.Validate() != nil:
			return nil, v.t("“%s” is not a network. Enter networks such as 192.0.2.0/24 or 2001:db8::/32.", word)
		}
		if !slices.Contains(networks, network) {
			networks = append(networks, network)
		}
	}
	return networks, ""
}

func networkWords(networks []netip.Prefix) (words []string) {
	for _, network := range networks {
		words = append(words, network.String())
	}
	return words
}

// metadataText returns metadata as lines of the form.
func metadataText(metadata map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(metadata)) {
		all = append(all, name+"="+metadata[name])
	}
	return strings.Join(all, "\n")
}

// parseMetadata returns the metadata in the lines of the form, or the first bad line.
func parseMetadata(text string) (metadata map[string]string, bad string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if _, twice := metadata[name]; !ok || name == "" || twice {
			return nil, line
		}
		if metadata == nil {
			metadata = map[string]string{}
		}
		metadata[name] = value
	}
	return metadata, ""
}

// The values of the field "expiry" are days or one of these words.
const (
	defaultExpiry = "default" // the lifetime that manage gives to a key without an ExpiresAt
	keepExpiry    = "keep"
	neverExpiry   = "never"
	dateExpiry    = "date"

	dateLayout = "2006-01-02"
	quarter    = 90 * day
	maxLife    = 100 * 366 * 24 * time.Hour
)

// offeredDays are the lifetimes that the form offers.
var offeredDays = []int{7, 30, 90, 365}

// expiries returns the expiries that a key can get: the edited key, or a new one for nil.
func (v *visit) expiries(now time.Time, key *apikey.Key) (all []choice) {
	usual := v.usualLifetime(now)
	latest, limited := v.latestExpiry(now, key)
	never := !limited
	switch {
	case key == nil:
		never = usual == 0 // because the Issuer gives a key without an ExpiresAt the default
		if v.defaultExpiry(now) == defaultExpiry {
			all = append(all, choice{Value: defaultExpiry, Word: v.t("Default (%s)", v.ahead(usual))})
		}
	case key.ExpiresAt.IsZero():
		all, never = append(all, choice{Value: keepExpiry, Word: v.t("Unchanged (never)")}), false
	default:
		all = append(all, choice{Value: keepExpiry, Word: v.t("Unchanged (%s)", v.end(key.ExpiresAt).Exact)})
	}
	for _, days := range offeredDays {
		if limited && now.Add(time.Duration(days)*day).After(latest) {
			continue
		}
		word := v.t("In %d days", days)
		if days == 365 {
			word = v.t("In a year")
		}
		all = append(all, choice{Value: strconv.Itoa(days), Word: word})
	}
	if never {
		all = append(all, choice{Value: neverExpiry, Word: v.t("Never")})
	}
	if !limited || !lastDay(latest).Before(now.UTC().Truncate(day)) {
		all = append(all, choice{Value: dateExpiry, Word: v.t("On a date")})
	}
	return all
}

// defaultExpiry returns the expiry that is chosen for a new key.
func (v *visit) defaultExpiry(now time.Time) string {
	wanted := cmp.Or(v.h.desk.Issuer().DefaultLifetime(), quarter)
	latest, limited := v.latestExpiry(now, nil)
	for _, days := range offeredDays {
		if wanted == time.Duration(days)*day && !(limited && now.Add(wanted).After(latest)) {
			return strconv.Itoa(days)
		}
	}
	return defaultExpiry
}

// usualLifetime returns the lifetime of a new key for which no expiry is chosen; 0 means that it never
// expires.
func (v *visit) usualLifetime(now time.Time) time.Duration {
	usual := v.h.desk.Issuer().DefaultLifetime()
	if latest, limited := v.latestExpiry(now, nil); limited && (usual == 0 || now.Add(usual).After(latest)) {
		return latest.Sub(now)
	}
	return usual
}

// latestExpiry returns the latest expiry that the limits permit. The lifetime of an edited key counts
// from its creation for the Issuer, so that edits do not renew the key forever. Only
// [apikey.Issuer.Rotate] begins a new lifetime, for a new secret. A key with a scope that the client may
// not give cannot be extended.
func (v *visit) latestExpiry(now time.Time, key *apikey.Key) (at time.Time, limited bool) {
	begin := now
	if key != nil {
		begin = key.CreatedAt
	}
	limit := func(latest time.Time) {
		if !limited || latest.Before(at) {
			at, limited = latest, true
		}
	}
	if most := v.h.desk.Issuer().MaxLifetime(); most > 0 {
		limit(begin.Add(most))
	}
	if most := v.access().MaxLifetime; most > 0 {
		limit(now.Add(most))
	}
	if end := v.access().NotAfter; !end.IsZero() {
		limit(end)
	}
	if key != nil && !key.ExpiresAt.IsZero() && v.beyond(key.Scopes) != "" {
		limit(key.ExpiresAt)
	}
	return at, limited
}

// lastDay returns the last day that ends before latest, or with it.
func lastDay(latest time.Time) time.Time { return latest.UTC().Truncate(day).AddDate(0, 0, -1) }

// begun returns the time from which a form counts days. It is that of the form, so that a form that is
// sent again asks for the same key, or now for an older form.
func (v *visit) begun(text string) time.Time {
	now := v.h.now().UTC().Truncate(time.Second)
	if at, err := time.Parse(time.RFC3339, text); err == nil && !at.After(now) && now.Sub(at) < time.Hour {
		return at.UTC()
	}
	return now
}

// expiry returns when a key expires, or the problem with the choice.
func (v *visit) expiry(p *keyForm, key *apikey.Key) (at time.Time, problem string) {
	chosen, date := p.Expiry, p.Date
	now := v.h.now()
	if !slices.ContainsFunc(v.expiries(now, key), func(c choice) bool { return c.Value == chosen }) {
		return time.Time{}, v.t("Choose when the key expires.")
	}
	latest, limited := v.latestExpiry(now, key)
	switch chosen {
	case neverExpiry, defaultExpiry, keepExpiry:
		return time.Time{}, ""
	case dateExpiry:
		last, err := time.Parse(dateLayout, date)
		end := last.AddDate(0, 0, 1)
		switch {
		case limited && (err != nil || !end.After(now) || last.After(lastDay(latest))):
			return time.Time{}, v.t("Choose a day from today to %s.", lastDay(latest).Format(dateLayout))
		case err != nil || !end.After(now) || end.Sub(now) > maxLife:
			return time.Time{}, v.t("Choose a day from today to 100 years ahead.")
		}
		return end, ""
	}
	days, _ := strconv.Atoi(chosen) // one of offeredDays
	return v.begun(p.Begun).Add(time.Duration(days) * day), ""
}
