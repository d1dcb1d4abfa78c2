package manageapi

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
	"github.com/latchkey-dev/apikey/manage"
)

// Options configures [New]. The zero value is ready for use behind an [apikey.Middleware].
type Options struct {
	// Authorize returns what the caller of a request may do. Nil means manage.ByKey of the key that
	// an [apikey.Middleware] around the handler has admitted.
	//
	// For the zero Access, which manage.ByKey returns for a key that manages no keys, the response is 403.
	// It is 401 for an error that wraps [apikey.ErrMissing], 503 for one that wraps
	// [apikey.ErrUnavailable], and 403 for every other error. The response does not contain the error.
	// Authorize is called concurrently. It must not read the body.
	//
	// If Authorize trusts the address of a client, check the Host before the handler. Otherwise an attacker
	// can point a name at the handler's address (DNS rebinding), and pages of that name can use the API.
	Authorize func(*http.Request) (manage.Access, error)

	// Limiter is the Limiter that enforces the limits of the keys. GET /keys/{id}/use returns how many
	// requests each limit of a key still permits. Without a Limiter there is no such endpoint.
	Limiter *limit.Limiter

	// Logger receives failures of the store and an Access that contradicts itself at level Error,
	// and other refusals of Authorize at level Debug; nil means slog.Default().
	Logger *slog.Logger
}

// New returns the handler of the API. It is safe for concurrent use. The error wraps
// [apikey.ErrInvalid] if d is nil or was not made by [manage.New].
func New(d *manage.Desk, o Options) (http.Handler, error) {
	if d == nil || d.Issuer() == nil {
		return nil, fmt.Errorf("manageapi: %w", &apikey.InvalidError{Field: "Desk", Problem: "nil; want one made by manage.New"})
	}
	a := &api{desk: d, authorize: o.Authorize, limiter: o.Limiter, logger: o.Logger}
	if a.authorize == nil {
		a.authorize = byKey
	}
	if a.logger == nil {
		a.logger = slog.Default()
	}
	return a, nil
}

// byKey is the Authorize of a handler without Options.Authorize.
func byKey(r *http.Request) (manage.Access, error) {
	key, ok := apikey.FromContext(r.Context())
	if !ok {
		return manage.Access{}, apikey.ErrMissing
	}
	return manage.ByKey(key), nil
}

type api struct {
	desk        *manage.Desk
	authorize   func(*http.Request) (manage.Access, error)
	limiter     *limit.Limiter // nil if there is none
	logger      *slog.Logger
	crossOrigin http.CrossOriginProtection
}

// A call is a request in progress.
type call struct {
	*api
	w       http.ResponseWriter
	r       *http.Request
	id      string          // of the key in the path
	session *manage.Session // set by open
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	c := &call{api: a, w: w, r: r}
	if err := c.route(); err != nil {
		c.refuse(err)
	}
}

// open asks Authorize for the permissions of the caller.
func (c *call) open() error {
	access, err := c.authorize(c.r)
	switch {
	case errors.Is(err, apikey.ErrUnavailable):
		return fmt.Errorf("%w: %w", accessUnknown, err)
	case err != nil:
		c.logger.DebugContext(c.r.Context(), "manageapi: request refused", "error", err)
		if errors.Is(err, apikey.ErrMissing) {
			return unauthenticated
		}
		return forbidden
	case access.Actor == "" && access.Owner == "" && !access.AllOwners: // as ByKey returns without the scope
		return forbidden
	}
	c.session, err = c.desk.As(access)
	if err != nil {
		c.logger.ErrorContext(c.r.Context(), "manageapi: Authorize returned an Access that cannot be used", "error", err)
		return forbidden
	}
	return nil
}
