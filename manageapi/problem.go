package manageapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"unicode"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// A problem is the body of a refusal (RFC 9457).
type problem struct {
	Type      string      `json:"type"`
	Title     string      `json:"title"`
	Status    int         `json:"status"`
	Detail    string      `json:"detail"`
	Code      string      `json:"code"`
	Field     string      `json:"field,omitempty"`
	Rule      manage.Rule `json:"rule,omitempty"`
	Successor string      `json:"successor,omitempty"`
}

func (p *problem) Error() string { return "manageapi: " + p.Detail }

func newProblem(status int, code, detail string) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// about returns a copy of the problem that names a member or a parameter.
func (p *problem) about(field string) *problem {
	named := *p
	named.Field = field
	return &named
}

// malformed returns the problem of a request that does not have the form that the OpenAPI document describes.
func malformed(detail string) *problem { return newProblem(http.StatusBadRequest, "malformed", detail) }

// invalid returns the problem of a value that is out of its limits.
func invalid(detail string) *problem {
	return newProblem(http.StatusUnprocessableEntity, "invalid", detail)
}

// The problems with fixed texts.
var (
	unauthenticated  = newProblem(http.StatusUnauthorized, "unauthenticated", "A valid API key is required.")
	forbidden        = newProblem(http.StatusForbidden, "forbidden", "You are not permitted to manage keys.")
	crossOrigin      = newProblem(http.StatusForbidden, "cross_origin", "A page of another origin cannot change keys.")
	noEndpoint       = newProblem(http.StatusNotFound, "no_endpoint", "The endpoint does not exist.")
	notFound         = newProblem(http.StatusNotFound, "not_found", "The key does not exist.")
	wrongMethod      = newProblem(http.StatusMethodNotAllowed, "method_not_allowed", "The endpoint does not allow this method.")
	tooLarge         = newProblem(http.StatusRequestEntityTooLarge, "too_large", "The body is larger than 64 KiB.")
	wrongType        = newProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "The Content-Type of the body must be application/json.")
	wrongPatchType   = newProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "The Content-Type of the body must be application/merge-patch+json.")
	preconditionFail = newProblem(http.StatusPreconditionFailed, "changed", "The key has changed since it was read. Read it again.")
	conflict         = newProblem(http.StatusConflict, "changed", "The key was changed at the same time. Try again.")
	otherRequest     = newProblem(http.StatusUnprocessableEntity, "idempotency_key_reused", "The Idempotency-Key was used for another request.")
	exists           = newProblem(http.StatusConflict, "exists", "The key exists already.")
	replaced         = newProblem(http.StatusConflict, "replaced", "The key was rotated already. Rotate its successor, or revoke the successor first.")
	revoked          = newProblem(http.StatusConflict, "revoked", "The key is revoked.")
	suspended        = newProblem(http.StatusConflict, "suspended", "The key is suspended.")
	expired          = newProblem(http.StatusConflict, "expired", "The key has expired.")
	uncertain        = newProblem(http.StatusServiceUnavailable, "uncertain", "The change may have happened. Repeat the request with the same Idempotency-Key, or read the key again.")
	useUnknown       = newProblem(http.StatusServiceUnavailable, "unavailable", "The use of the key is not known at the moment. Try again later.")
	accessUnknown    = newProblem(http.StatusServiceUnavailable, "unavailable", "The service could not check what you may do. Try again later.")
	unavailable      = newProblem(http.StatusServiceUnavailable, "unavailable", "The keys could not be read or written. Try again later.")
)

// problemOf returns the problem of an error. conditional reports whether the request has If-Match,
// and idempotent whether it has Idempotency-Key.
func problemOf(err error, conditional, idempotent bool) *problem {
	if own, ok := errors.AsType[*problem](err); ok {
		return own
	}
	if refused, ok := errors.AsType[*manage.RefusedError](err); ok {
		p := newProblem(http.StatusForbidden, "refused", refused.Problem).about(member(refused.Field))
		p.Rule = refused.Rule
		return p
	}
	if wrong, ok := errors.AsType[*apikey.InvalidError](err); ok {
		return invalid(wrong.Problem).about(member(wrong.Field))
	}
	if already, ok := errors.AsType[*apikey.ReplacedError](err); ok {
		p := *replaced
		p.Successor = already.Successor
		return &p
	}
	for _, row := range [...]struct {
		target error
		p      *problem
	}{
		{apikey.ErrUncertain, uncertain},
		{apikey.ErrUnavailable, unavailable},
		{apikey.ErrNotFound, notFound},
		{apikey.ErrMalformed, notFound}, // of Identify: no key has this secret
		{apikey.ErrRevoked, revoked},
		{apikey.ErrSuspended, suspended},
		{apikey.ErrExpired, expired},
		{manage.ErrChanged, choose(conditional, preconditionFail, conflict)},
		{apikey.ErrExists, choose(idempotent, otherRequest, exists)},
	} {
		if errors.Is(err, row.target) {
			return row.p
		}
	}
	return unavailable
}

func choose(condition bool, yes, no *problem) *problem {
	if condition {
		return yes
	}
	return no
}

// member returns the name in JSON of a field in Go, such as expires_at for ExpiresAt.
func member(field string) string {
	var b strings.Builder
	lower := false
	for _, r := range field {
		if unicode.IsUpper(r) && lower {
			b.WriteByte('_')
		}
		lower = unicode.IsLower(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// refuse writes the response to a request that failed with err.
func (c *call) refuse(err error) {
	p := problemOf(err, c.r.Header["If-Match"] != nil, c.r.Header["Idempotency-Key"] != nil)
	switch p.Status {
	case http.StatusUnauthorized:
		c.w.Header().Set("WWW-Authenticate", "ApiKey")
	case http.StatusServiceUnavailable:
		c.w.Header().Set("Retry-After", "1")
		if ctx := c.r.Context(); !errors.Is(ctx.Err(), context.Canceled) { // otherwise the client has gone
			c.logger.ErrorContext(ctx, "manageapi: "+causeOf(p)+" failed", "error", err)
		}
	}
	c.write("application/problem+json", p.Status, p)
}

// causeOf returns what failed, for the log, if the response is 503.
func causeOf(p *problem) string {
	switch p {
	case accessUnknown:
		return "Authorize"
	case useUnknown:
		return "Limiter"
	}
	return "key store"
}
