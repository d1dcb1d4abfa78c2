package admin

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/latchkey-dev/apikey"
)

// An identifyPage asks for a key that was found somewhere, and leads to its page.
type identifyPage struct{ Problem string }

func (v *visit) identifyForm() (page, error) { return v.identifyPage(http.StatusOK, ""), nil }

// identifyPage never shows the typed text, because it is a key.
func (v *visit) identifyPage(status int, problem string) page {
	return page{status: status, view: "identify", title: v.t("Which key is this?"), content: identifyPage{problem}}
}

func (v *visit) identify() (page, error) {
	if err := v.readForm(); err != nil {
		return page{}, err
	}
	key, err := v.keyIn(v.r.PostForm.Get("key"))
	switch {
	case isNoKey(err):
		return v.unknownKey(), nil
	case err != nil:
		return page{}, err
	}
	return redirect(v.root + "keys/" + key.ID), nil
}

// unknownKey returns the page for a text that is not a key of this service.
func (v *visit) unknownKey() page {
	problem := v.t("This is not a key of this service.")
	if v.own() {
		problem = v.t("This is not one of your keys.")
	}
	return v.identifyPage(http.StatusNotFound, problem)
}

// candidates finds the parts of a pasted line, such as a header or a URL, that can be keys.
var candidates = regexp.MustCompile(`[0-9A-Za-z_-]{16,}`)

// maxCandidates is how many parts of a text keyIn looks up.
const maxCandidates = 8

// keyIn returns the key whose secret a text is or contains. isNoKey recognizes the error of a text
// without one.
func (v *visit) keyIn(text string) (apikey.Key, error) {
	tried := append([]string{strings.TrimSpace(text)}, candidates.FindAllString(text, maxCandidates)...)
	err := apikey.ErrMalformed
	for _, candidate := range tried {
		var key apikey.Key
		if key, err = v.keys.Identify(v.r.Context(), apikey.NewSecret(candidate)); err == nil || !isNoKey(err) {
			return key, err
		}
	}
	return apikey.Key{}, err
}

func isNoKey(err error) bool {
	return errors.Is(err, apikey.ErrMalformed) || errors.Is(err, apikey.ErrNotFound)
}

var (
	// keyLike finds long random texts: letters and digits, only digits, and UUIDs.
	keyLike = regexp.MustCompile(`[0-9A-Za-z]{30,}|[0-9]{16,}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}`)
	mixed   = regexp.MustCompile(`[0-9A-Za-z]{20,}`)
)

// looksLikeKey reports whether a text may contain a key of this service or of another one. A name or
// an ID does not look like a key unless it is as long and as random as one.
func looksLikeKey(text string) bool {
	if keyLike.MatchString(text) {
		return true
	}
	for _, run := range mixed.FindAllString(text, -1) {
		if strings.ContainsAny(run, "0123456789") && strings.ContainsFunc(run, func(r rune) bool { return r > '9' }) {
			return true
		}
	}
	return false
}

// search redirects to the list with the posted state. The form uses POST, because administrators
// paste keys into the search and a key must not get into a URL. A key leads to its page instead.
func (v *visit) search() (page, error) {
	if err := v.readForm(); err != nil {
		return page{}, err
	}
	form := v.r.PostForm
	if v.own() {
		form.Del("owner")
	}
	for _, name := range [...]string{"search", "owner", "scope"} {
		text := strings.TrimSpace(form.Get(name))
		key, err := v.keyIn(text)
		if err == nil {
			return redirect(v.root + "keys/" + key.ID), nil
		}
		if !isNoKey(err) {
			return page{}, err
		}
		may, err := v.mayBeInURL(name, text)
		if err != nil {
			return page{}, err
		}
		if !may {
			return v.unknownKey(), nil
		}
		form.Set(name, text)
	}
	return redirect(v.root + listQuery(form)), nil
}

// mayBeInURL reports whether a typed filter is short and does not look like a key. An owner or a scope
// that a key has may look like one, such as a UUID.
func (v *visit) mayBeInURL(name, text string) (bool, error) {
	if utf8.RuneCountInString(text) > searchSize {
		return false, nil
	}
	if !looksLikeKey(text) {
		return true, nil
	}
	var o apikey.ListOptions
	switch name {
	case "owner":
		o.Owner = text
	case "scope":
		o.Scope = text
	default:
		return false, nil
	}
	for _, err := range apikey.Keys(v.r.Context(), visible{session: v.keys}, o) {
		if errors.Is(err, apikey.ErrInvalid) {
			return false, nil
		}
		return err == nil, err
	}
	return false, nil
}
