package admin

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

// addPage is the form for a new key, with what was typed and what is wrong with it.
type addPage struct {
	Name, Owner, Typed, Expiry, Date string
	Scopes                           []choice // suggested ones
	Expiries                         []choice
	Today                            string
	Problems                         []problem
}

// A choice is one of several that can be made.
type choice struct {
	Value, Word string
	Chosen      bool
}

// A problem is what is wrong with a field.
type problem struct{ Field, Word string }

// Problem returns what is wrong with a field, or "".
func (p addPage) Problem(field string) string {
	for _, problem := range p.Problems {
		if problem.Field == field {
			return problem.Word
		}
	}
	return ""
}

// What a new key's life may be, in days or as a word.
const (
	defaultExpiry = "90"
	yearExpiry    = "365"
	neverExpiry   = "never"
	dateExpiry    = "date"
	dateLayout    = "2006-01-02"
	maxLife       = 100 * 366 * 24 * time.Hour
)

func (h *Handler) addForm(v *visit) {
	v.showAdd(http.StatusOK, addPage{Expiry: defaultExpiry}, nil)
}

func (v *visit) showAdd(status int, p addPage, chosen []string) {
	h, t := v.h, v.h.text
	for _, scope := range h.scopes {
		p.Scopes = append(p.Scopes, choice{scope, scope, slices.Contains(chosen, scope)})
	}
	for _, days := range []int{7, 30, 90} {
		p.Expiries = append(p.Expiries, choice{Value: strconv.Itoa(days), Word: fmt.Sprintf(t.ExpiryDays, days)})
	}
	p.Expiries = append(p.Expiries, choice{Value: yearExpiry, Word: t.ExpiryYear}, choice{Value: neverExpiry, Word: t.ExpiryNever},
		choice{Value: dateExpiry, Word: t.ExpiryDate})
	for i := range p.Expiries {
		p.Expiries[i].Chosen = p.Expiries[i].Value == p.Expiry
	}
	p.Today = h.now().UTC().Format(dateLayout)
	v.show(status, "add", t.AddTitle, p)
}

func (h *Handler) add(v *visit) {
	nonce, ok := v.readForm()
	if !ok {
		return
	}
	form := v.r.PostForm
	p := addPage{
		Name: strings.TrimSpace(form.Get("name")), Owner: strings.TrimSpace(form.Get("owner")), Typed: form.Get("scopes"),
		Expiry: form.Get("expiry"), Date: form.Get("date"),
	}
	key := apikey.Key{Name: p.Name, Owner: p.Owner, Scopes: append(slices.Clone(form["scope"]), strings.Fields(p.Typed)...)}
	slices.Sort(key.Scopes)
	key.Scopes = slices.Compact(key.Scopes)
	var expiryProblem string
	if p.Date != "" && p.Expiry != dateExpiry {
		// It is said, once: what was given is not dropped in silence, and what may be hidden by
		// now cannot be emptied by hand.
		p.Date, expiryProblem = "", h.text.ProblemDateUnused
	} else {
		key.ExpiresAt, expiryProblem = h.expiry(p.Expiry, p.Date)
	}
	p.Problems = h.problems(key, expiryProblem)
	if len(p.Problems) > 0 {
		v.showAdd(http.StatusUnprocessableEntity, p, form["scope"])
		return
	}
	var made newPage
	id, first, err := h.once.do(v.r.Context(), nonce, func() (string, error) {
		secret, issued, err := h.issuer.Issue(v.ctx(), key)
		made = newPage{Secret: secret, Row: v.row(&issued)}
		return issued.ID, err
	})
	v.showNew(made, id, first, err)
}

// expiry returns when a key expires, or what is wrong with the choice.
func (h *Handler) expiry(chosen, date string) (at time.Time, problem string) {
	now := h.now()
	switch chosen {
	case neverExpiry:
		return time.Time{}, ""
	case dateExpiry:
		day, err := time.Parse(dateLayout, date)
		end := day.AddDate(0, 0, 1) // that day is its last
		if err != nil || !end.After(now) || end.Sub(now) > maxLife {
			return time.Time{}, h.text.ProblemDate
		}
		return end, ""
	case "7", "30", defaultExpiry, yearExpiry:
		days, _ := strconv.Atoi(chosen)
		return now.Add(time.Duration(days) * 24 * time.Hour).UTC().Truncate(time.Second), ""
	}
	return time.Time{}, h.text.ProblemExpiry
}

// problems returns what is wrong with a key, field by field, by the rules of the key itself.
func (h *Handler) problems(key apikey.Key, expiryProblem string) (found []problem) {
	check := func(field, word string, key apikey.Key) {
		if key.ID = "new"; errors.Is(key.Validate(), apikey.ErrInvalid) {
			found = append(found, problem{field, word})
		}
	}
	check("name", h.text.ProblemName, apikey.Key{Name: key.Name})
	check("scopes", h.text.ProblemScopes, apikey.Key{Name: "x", Scopes: key.Scopes})
	check("owner", h.text.ProblemOwner, apikey.Key{Name: "x", Owner: key.Owner})
	if expiryProblem != "" {
		found = append(found, problem{"expiry", expiryProblem})
	}
	return found
}

// newPage shows a new key, the only time.
type newPage struct {
	Secret apikey.Secret
	Row    keyRow
	Old    string // what becomes of the key it replaces, if it replaces one
	Shell  string // a command that uses it
}

// Reveal is for the template of this page.
func (p newPage) Reveal() string { return p.Secret.Reveal() }

// showNew answers a form that makes a key.
func (v *visit) showNew(p newPage, id string, first bool, err error) {
	t := v.h.text
	switch {
	case err != nil:
		v.storeFailed(err)
	case !first:
		v.id = id
		v.show(http.StatusConflict, "again", t.AlreadyAddedTitle, id)
	default:
		p.Shell = v.h.example.with(p.Secret.Reveal())
		v.show(http.StatusOK, "new", t.NewTitle, p)
	}
}
