package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// A problem is the body of a refusal (RFC 9457), as package manageapi writes it.
type problem struct {
	Status    int         `json:"status"`
	Detail    string      `json:"detail"`
	Code      string      `json:"code"`
	Field     string      `json:"field"`
	Rule      manage.Rule `json:"rule"`
	Successor string      `json:"successor"`
}

// ErrUnauthorized means that the server refuses the key of the Session, or does not permit it to manage keys.
var ErrUnauthorized = errors.New("the server does not permit this key to manage keys")

// sentinels maps codes to the errors of a manage.Session.
var sentinels = map[string]error{
	"not_found":              apikey.ErrNotFound,
	"unauthenticated":        ErrUnauthorized,
	"forbidden":              ErrUnauthorized,
	"cross_origin":           ErrUnauthorized,
	"changed":                manage.ErrChanged,
	"exists":                 apikey.ErrExists,
	"idempotency_key_reused": apikey.ErrExists,
	"revoked":                apikey.ErrRevoked,
	"suspended":              apikey.ErrSuspended,
	"expired":                apikey.ErrExpired,
	"uncertain":              apikey.ErrUncertain,
	"unavailable":            apikey.ErrUnavailable,
}

// failure returns the error of a response whose status is not 2xx. changes reports whether the request may change
// something.
func failure(response *http.Response, body []byte, changes bool) error {
	var p problem
	if json.Unmarshal(body, &p) != nil {
		p = problem{}
	}
	switch p.Code {
	case "refused":
		return &manage.RefusedError{Rule: p.Rule, Field: p.Field, Problem: p.Detail}
	case "invalid", "malformed":
		field := p.Field
		if field == "" {
			field = "request"
		}
		return fmt.Errorf("remote: %w", &apikey.InvalidError{Field: field, Problem: p.Detail})
	case "replaced":
		successor := p.Successor
		if !apikey.ValidID(successor) {
			successor = ""
		}
		return &apikey.ReplacedError{Successor: successor}
	}
	if known, ok := sentinels[p.Code]; ok {
		return known
	}
	// The answer is from a proxy, or from a Middleware in front of the API.
	status := response.StatusCode
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return ErrUnauthorized
	case 300 <= status && status <= 399:
		return fmt.Errorf("remote: the server redirects to another URL (status %d); set the URL of the API itself", status)
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable && (!changes || isProblem(response, &p)):
		return fmt.Errorf("remote: %w: status %d", apikey.ErrUnavailable, status)
	case status >= 500 && changes:
		return fmt.Errorf("remote: %w: status %d", apikey.ErrUncertain, status)
	case status >= 500:
		return fmt.Errorf("remote: %w: status %d", apikey.ErrUnavailable, status)
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return fmt.Errorf("remote: there is no management API at this URL (status %d)", status)
	}
	return fmt.Errorf("remote: the server answers with status %d", status)
}

// isProblem reports whether a Middleware in front of the API wrote a response. A proxy writes the same status after it has
// lost the connection to the server, which may have made the change.
func isProblem(response *http.Response, p *problem) bool {
	return response.Header.Get("Content-Type") == "application/problem+json" && p.Status == response.StatusCode
}
