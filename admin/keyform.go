package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/latchkey-dev/apikey"
)

// A keyForm is the form for the fields of a key, with its values and problems. Add and Edit show it.
type keyForm struct {
	Path    string  // of the form, relative to the first page
	Editing *keyRow // nil for a new key

	Name, Owner, Typed, Networks, Limits, Metadata, Expiry, Date string
	Begun                                                        string   // time of the form, from which it counts days
	Checked, Confirmed                                           []string // scopes
	Was                                                          []string // fingerprints of the values with which an Edit form began

	Catalogue bool     // the form offers every scope that the client may give, so the client types no scopes
	Described bool     // a scope has a description
	Scopes    []choice // from the catalogue or Options.Scopes
	Unknown   []choice // scopes outside Options.Scopes, to be confirmed
	Expiries  []choice
	Today     string
	LastDay   string // "" without a limit
	Latest    string // when the edited key expires at the latest, or "" without a limit
	Problems  []problem
}

// A choice is a checkbox or a radio button.
type choice struct {
	Value, Word string
	Chosen      bool
	Description string
}

// choose returns the choices with one of them chosen.
func choose(choices []choice, value string) []choice {
	for i := range choices {
		choices[i].Chosen = choices[i].Value == value
	}
	return choices
}

// A problem is a message about a field.
type problem struct{ Field, Word string } // Field is "" for one of the whole form

// Problem returns the message about a field, or "".
func (p keyForm) Problem(field string) string {
	for _, problem := range p.Problems {
		if problem.Field == field {
			return problem.Word
		}
	}
	return ""
}

// More reports whether the fields that are folded up have a value.
func (p keyForm) More() bool { return p.Networks != "" || p.Metadata != "" }

// ReadOnly reports whether the metadata cannot be written as lines, so the form does not change it.
func (p keyForm) ReadOnly() bool {
	if p.Editing == nil {
		return false
	}
	metadata, bad := parseMetadata(metadataText(p.Editing.Metadata))
	return bad != "" || !maps.Equal(metadata, p.Editing.Metadata)
}

// keyFields are the fields of the form.
var keyFields = []string{"name", "owner", "scopes", "scope", "confirmed", "networks", "limits", "metadata", "expiry", "date", "begun", "was"}

// keyFormPage returns the form with the scopes to choose from.
func (v *visit) keyFormPage(status int, title string, p keyForm) page {
	var catalogue []apikey.Scope
	catalogue, p.Catalogue = v.offered()
	// Sets, because a client may check thousands of scopes.
	checked, shown := setOf(p.Checked), map[string]bool{}
	for _, scope := range catalogue {
		shown[scope.Name] = true
		p.Described = p.Described || scope.Description != ""
		p.Scopes = append(p.Scopes, choice{scope.Name, scope.Name, checked[scope.Name], scope.Description})
	}
	// The other scopes of a key get checkboxes too. As text they would be split at their commas.
	others := slices.Clone(p.Checked)
	if p.Editing != nil {
		others = slices.Concat(p.Editing.Scopes, p.Checked)
	}
	for _, scope := range others {
		if shown[scope] {
			continue
		}
		shown[scope] = true
		other := choice{Value: scope, Word: scope, Chosen: checked[scope]}
		if v.h.desk.Issuer().CheckScopes([]string{scope}) != nil {
			p.Described, other.Description = true, v.t("No longer in the catalogue")
		} else if v.beyond([]string{scope}) != "" {
			p.Described, other.Description = true, v.t("You can remove this scope, but not add it again.")
		}
		p.Scopes = append(p.Scopes, other)
	}
	now := v.h.now()
	p.Begun = v.begun(p.Begun).Format(time.RFC3339)
	p.Today = now.UTC().Format(dateLayout)
	var key *apikey.Key
	if p.Editing != nil {
		key = &p.Editing.Key
	}
	if latest, limited := v.latestExpiry(now, key); limited {
		p.LastDay = lastDay(latest).Format(dateLayout)
		if key != nil && p.Editing.Beyond == "" {
			p.Latest = v.end(latest).Exact
		}
	}
	return page{status: status, view: "keyform", title: title, content: p}
}

func keyFormOf(form url.Values) keyForm {
	return keyForm{
		Name: form.Get("name"), Owner: form.Get("owner"),
		Typed: form.Get("scopes"), Checked: form["scope"], Confirmed: form["confirmed"],
		Networks: lines(form.Get("networks")), Limits: form.Get("limits"), Metadata: lines(form.Get("metadata")),
		Expiry: form.Get("expiry"), Date: form.Get("date"), Begun: form.Get("begun"), Was: form["was"],
	}
}

// keyFormOfKey returns the form with the values of a key.
func keyFormOfKey(key *apikey.Key) keyForm {
	texts := keyTexts(key)
	p := keyForm{Name: key.Name, Owner: key.Owner, Checked: key.Scopes, Networks: texts["networks"], Limits: texts["limits"], Metadata: texts["metadata"], Expiry: keepExpiry}
	for field, text := range texts {
		p.Was = append(p.Was, fingerprint(field, text))
	}
	slices.Sort(p.Was)
	return p
}

// whole reports whether a posted Edit form has all of its fields. A missing field must not empty the
// field of the key: a key without networks works from everywhere. Browsers send no unchecked box, so
// the scopes have only a fingerprint.
func (v *visit) whole(form url.Values) bool {
	for _, field := range [...]string{"name", "owner", "networks", "limits", "metadata", "expiry"} {
		if !form.Has(field) && !((field == "owner" || field == "limits") && v.own()) {
			return false
		}
	}
	p := keyFormOf(form)
	for field := range keyTexts(&apikey.Key{}) {
		if p.was(field) == "" {
			return false
		}
	}
	return true
}

// lines returns a text with the line ends of a key's values. Browsers send CR LF.
func lines(text string) string {
	return strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
}

// keyTexts returns the fields of a key that Edit can change, as text.
func keyTexts(key *apikey.Key) map[string]string {
	expiry := ""
	if !key.ExpiresAt.IsZero() {
		expiry = key.ExpiresAt.UTC().Format(time.RFC3339Nano)
	}
	return map[string]string{
		"name": key.Name, "owner": key.Owner, "scopes": scopesText(key.Scopes), "networks": strings.Join(networkWords(key.Networks), "\n"),
		"limits": limitsText(key.Limits), "metadata": metadataText(key.Metadata), "expiry": expiry,
	}
}

func scopesText(scopes []string) string { return strings.Join(sortedSet(scopes), " ") }

func setOf(all []string) map[string]bool {
	set := make(map[string]bool, len(all))
	for _, s := range all {
		set[s] = true
	}
	return set
}

func sortedSet(all []string) []string {
	all = slices.Clone(all)
	slices.Sort(all)
	return slices.Compact(all)
}

// changed reports whether a field differs from the value that the form showed. Every field of a new key
// counts as changed.
func (p keyForm) changed(field string) bool {
	var text string
	switch field {
	case "name":
		text = p.Name
	case "owner":
		text = p.Owner
	case "scopes":
		text = scopesText(p.allScopes())
	case "networks":
		text = p.Networks
	case "limits":
		text = p.Limits
	case "metadata":
		text = p.Metadata
	case "expiry":
		return p.Expiry != keepExpiry
	}
	return p.was(field) != fingerprint(field, text)
}

// was returns the fingerprint of the value that an Edit form showed, or "".
func (p keyForm) was(field string) string {
	for _, was := range p.Was {
		if strings.HasPrefix(was, field+":") {
			return was
		}
	}
	return ""
}

// fingerprint identifies the value of a field in fewer bytes than the value has.
func fingerprint(field, value string) string {
	sum := sha256.Sum256([]byte(value))
	return field + ":" + hex.EncodeToString(sum[:8])
}

// allScopes returns the checked and the typed scopes, sorted.
func (p keyForm) allScopes() []string {
	return sortedSet(append(slices.Clone(p.Checked), typedScopes(p.Typed)...))
}

// typedScopes splits a text at commas and white space.
func typedScopes(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}
