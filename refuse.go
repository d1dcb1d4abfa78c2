package apikey

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// errCanceled marks an ErrUnavailable whose cause is that the client went away.
var errCanceled = errors.New("request canceled")

// outcomes is what each kind of error means, the first that matches. Last is what an
// error of none of these kinds means.
var outcomes = [...]struct {
	err    error
	label  string
	status int
}{
	{errCanceled, "canceled", http.StatusServiceUnavailable},
	{ErrUnavailable, "unavailable", http.StatusServiceUnavailable},
	{ErrForbidden, "forbidden", http.StatusForbidden},
	{ErrAmbiguous, "ambiguous", http.StatusBadRequest},
	{ErrMissing, "missing", http.StatusUnauthorized},
	{ErrMalformed, "malformed", http.StatusUnauthorized},
	{ErrNotFound, "unknown", http.StatusUnauthorized},
	{ErrRevoked, "revoked", http.StatusUnauthorized},
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

// StatusCode returns the status of the response to a request that was refused with
// err: 400, 401, 403 or 503, which is also that of errors that are not an outcome of
// this package.
func StatusCode(err error) int {
	_, status := outcomeOf(err)
	return status
}

// problems are the bodies of refusals, RFC 9457. They tell a client what to do, and
// nothing of why.
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

// Refuse writes the response to a request that was refused with err, by OnRefuse if
// there is one. Otherwise it is problem+json, RFC 9457, with the status of [StatusCode]:
// missing, malformed, unknown, revoked and expired keys get the same 401, byte for byte,
// with WWW-Authenticate; a 503 has Retry-After. The cause is not shown.
func (m *Middleware) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	if m.onRefuse != nil {
		m.onRefuse(w, m.withoutQueryKey(r), err)
		return
	}
	status := StatusCode(err)
	h := w.Header()
	// What may have been set for another body, as in http.Error.
	h.Del("Content-Length")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/problem+json")
	h.Set("X-Content-Type-Options", "nosniff")
	switch status {
	case http.StatusUnauthorized:
		h["Www-Authenticate"] = slices.Clone(m.challenges)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	io.WriteString(w, problems[status])
}

// challenges returns the values of WWW-Authenticate: one for each way to send a key.
// There is no registered scheme for fields and parameters of one's own.
func (s *sources) challenges(realm string) (list []string) {
	for _, source := range s.list {
		scheme := "ApiKey"
		if source.kind == schemeSource {
			scheme = source.name
		}
		if c := scheme + challenge(realm); !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

func challenge(realm string) string {
	if realm == "" {
		return ""
	}
	return ` realm="` + realm + `"`
}

func validRealm(s string) bool {
	for i := range len(s) {
		if !isVisible(s[i]) && s[i] != ' ' || s[i] == '"' || s[i] == '\\' {
			return false
		}
	}
	return len(s) <= maxText
}

// An Event is one decision. It is safe to log: it has no request, whose path or header
// could hold a key.
type Event struct {
	// Err is nil if the request was accepted. A request without a key that Optional
	// served has ErrMissing.
	Err error
	// Key is whose key it was: also if it is revoked, expired or not permitted. It is
	// shared, so do not write to it.
	Key *Key
	// Source is where the key was, such as "header X-API-Key"; "" if there was none or
	// if the decision is that of Verify or Require.
	Source string
	// Method and RemoteAddr are those of the request; "" for Verify.
	Method, RemoteAddr string
	// Duration is how long the decision took, the store included; 0 for Require, which
	// asks nobody.
	Duration time.Duration

	begin, end time.Time
}

// Outcome is a label for metrics, one of accepted, missing, ambiguous, malformed,
// unknown, revoked, expired, forbidden, unavailable and canceled, the last if the client
// went away before the store answered.
func (e Event) Outcome() string {
	if e.Err == nil {
		return "accepted"
	}
	label, _ := outcomeOf(e.Err)
	return label
}

// report tells Observe and the log of a decision.
func (m *Middleware) report(ctx context.Context, e *Event) {
	if m.observe != nil {
		if !e.begin.IsZero() {
			if e.end.IsZero() {
				e.end = time.Now()
			}
			e.Duration = e.end.Sub(e.begin)
		}
		m.observe(ctx, *e)
	}
	if e.Err != nil {
		m.logRefusal(ctx, e)
	}
}

func (m *Middleware) logRefusal(ctx context.Context, e *Event) {
	logger := m.logger
	if logger == nil {
		logger = slog.Default()
	}
	level := slog.LevelDebug
	if errors.Is(e.Err, ErrUnavailable) && !errors.Is(e.Err, errCanceled) {
		level = slog.LevelError
	}
	if !logger.Enabled(ctx, level) {
		return // as most refusals do, and cheaply
	}
	attrs := []slog.Attr{
		slog.String("outcome", e.Outcome()), slog.String("error", e.Err.Error()),
		slog.String("method", e.Method), slog.String("remote", e.RemoteAddr), slog.String("source", e.Source),
	}
	if e.Key != nil {
		attrs = append(attrs, slog.String("key", e.Key.ID))
	}
	logger.LogAttrs(ctx, level, "apikey: request not accepted", attrs...)
}
