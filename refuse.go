package apikey

import (
	"errors"
	"io"
	"net/http"
	"strconv"
)

// errCanceled marks an ErrUnavailable whose cause is that the client closed the request.
var errCanceled = errors.New("request canceled")

// outcomes maps errors to labels and statuses. The first error that matches counts; the last entry
// matches every error.
var outcomes = [...]struct {
	err    error
	label  string
	status int
}{
	{errCanceled, "canceled", http.StatusServiceUnavailable},
	{ErrUnavailable, "unavailable", http.StatusServiceUnavailable},
	{errNetwork, "network", http.StatusForbidden},
	{ErrForbidden, "forbidden", http.StatusForbidden},
	{ErrLimited, "limited", http.StatusTooManyRequests},
	{ErrAmbiguous, "ambiguous", http.StatusBadRequest},
	{ErrMissing, "missing", http.StatusUnauthorized},
	{ErrMalformed, "malformed", http.StatusUnauthorized},
	{ErrNotFound, "unknown", http.StatusUnauthorized},
	{ErrRevoked, "revoked", http.StatusUnauthorized},
	{ErrSuspended, "suspended", http.StatusUnauthorized},
	{ErrExpired, "expired", http.StatusUnauthorized},
	{nil, "unavailable", http.StatusServiceUnavailable},
}

func outcomeOf(err error) (label string, status int) {
	i := 0
	for outcomes[i].err != nil && !errors.Is(err, outcomes[i].err) {
		i++
	}
	return outcomes[i].label, outcomes[i].status
}

// StatusCode returns the status of the response to a request that was refused with err: 400, 401, 403,
// 429 or 503. The status of an error that is not a reason of this package is 503.
func StatusCode(err error) int {
	_, status := outcomeOf(err)
	return status
}

// problems are the bodies of refusals (RFC 9457), by status. They do not contain the reason.
var problems = map[int]string{
	http.StatusBadRequest:         problem(http.StatusBadRequest, "The request must carry exactly one API key."),
	http.StatusUnauthorized:       problem(http.StatusUnauthorized, "A valid API key is required."),
	http.StatusForbidden:          problem(http.StatusForbidden, "The API key does not permit this request."),
	http.StatusServiceUnavailable: problem(http.StatusServiceUnavailable, "The API key could not be checked. Try again later."),
}

func problem(status int, detail string) string {
	return `{"type":"about:blank","title":` + strconv.Quote(http.StatusText(status)) +
		`,"status":` + strconv.Itoa(status) + `,"detail":` + strconv.Quote(detail) + "}\n"
}

// Refuse writes the response to a request that was refused with err. It sets "Cache-Control:
// no-store" and, if the URL contained a key, "Referrer-Policy: no-referrer". Then it calls
// Options.OnRefuse if that is set.
//
// Otherwise Refuse writes problem+json (RFC 9457) with the status of [StatusCode]. It does not show
// the reason. Missing, malformed, unknown, revoked, suspended and expired keys get byte-identical
// 401 responses with WWW-Authenticate. A 503 has Retry-After. A 429 has Retry-After, unless the request
// costs more than a limit permits at once, and names the limits (draft-ietf-httpapi-ratelimit-headers-11,
// section 5).
//
// If the request carries a key by the Bearer scheme, WWW-Authenticate contains an error code of RFC
// 6750 section 3.1. This is invalid_token with a 401, and insufficient_scope with the scopes that
// [Require] demands with a 403.
func (m *Middleware) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if layerOf(r.Context()).changed() != nil || m.hasKeyInURL(r) {
		h.Set("Referrer-Policy", noReferrer)
	}
	if m.onRefuse != nil {
		m.onRefuse(w, m.withoutKeysInURL(r), err)
		return
	}
	status := StatusCode(err)
	// Like http.Error, remove the length of another body.
	h.Del("Content-Length")
	h.Set("Content-Type", "application/problem+json")
	h.Set("X-Content-Type-Options", "nosniff")
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		if challenges := m.sources.challengesFor(r, err, status); len(challenges) > 0 {
			h["Www-Authenticate"] = challenges
		}
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	case http.StatusTooManyRequests:
		writeLimited(w, err)
		return
	}
	w.WriteHeader(status)
	io.WriteString(w, problems[status])
}
