package leak

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// Options configures [GitHub], [Webhook] and [Verify]. The zero value is ready for use.
type Options struct {
	// OnLeak receives each report of a key of this service, after the key was revoked; nil ignores
	// reports. Use it to tell the owner of the key. It must be fast, so put the Report into a queue and do not
	// send mail. If it returns an error, the sender of the report gets 503 and repeats all its reports. OnLeak
	// therefore receives a report at least once, and possibly again. Verify does not call OnLeak.
	//
	// OnLeak is called for one Report of a request at a time, and concurrently for several requests. Its
	// context ends with the Timeout, and not when the sender disconnects.
	OnLeak func(ctx context.Context, r Report) error

	// Timeout bounds the revocations of one request together with its calls of OnLeak; 0 means 25
	// seconds, because GitHub waits for 30. At most 5 minutes.
	Timeout time.Duration

	// PublicKeys says how the endpoint of [GitHub] fetches the keys that verify signatures.
	PublicKeys PublicKeys

	// Logger receives revoked keys at level Info and refused requests at level Debug. It receives failures
	// of the store, of OnLeak and of fetching public keys at level Error. It receives IDs of keys, and
	// never a token or a URL. Nil means slog.Default().
	Logger *slog.Logger
}

// A Report says that a key of this service was found in a place where it should not be.
type Report struct {
	// Key is the key after it was revoked.
	Key apikey.Key
	// AlreadyRevoked says that the key was revoked before this request. OnLeak may still not have seen
	// the key, because an earlier request may have failed between the revocation and the call.
	AlreadyRevoked bool
	// Reporter is the actor in the audit trail: [GitHubActor], the name of a scanner, or
	// [PlaintextActor].
	Reporter string
	// Type is the sender's name for the kind of key. At most 200 bytes.
	Type string
	// URL is the place where the sender found the key. It is "" if the sender does not know it. At most
	// 2,048 bytes. It is text of the sender, so check it before you make it a link.
	URL string
	// Source is the sender's name for the kind of place, such as "commit". At most 200 bytes.
	Source string
}

const (
	defaultTimeout = 25 * time.Second
	maxTimeout     = 5 * time.Minute
)

// withDefaults returns the options with defaults, or an error that names a field.
func (o Options) withDefaults() (Options, error) {
	switch {
	case o.Timeout < 0 || o.Timeout > maxTimeout:
		return o, invalid("Timeout", "%v: want 1ns to %v, or 0 for %v", o.Timeout, maxTimeout, defaultTimeout)
	case o.Timeout == 0:
		o.Timeout = defaultTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, nil
}

// newSession returns a session that manages all keys as an actor.
func newSession(d *manage.Desk, a manage.Access) (*manage.Session, error) {
	if d == nil || d.Issuer() == nil {
		return nil, invalid("Desk", "nil; want one made by manage.New")
	}
	a.AllOwners = true
	session, err := d.As(a)
	if err != nil {
		return nil, fmt.Errorf("leak: %w", err)
	}
	return session, nil
}

func invalid(field, format string, args ...any) error {
	return fmt.Errorf("leak: %w", &apikey.InvalidError{Field: field, Problem: fmt.Sprintf(format, args...)})
}

// isHTTPS reports whether an absolute URL has the scheme https and no user information.
func isHTTPS(text string) bool {
	r, err := http.NewRequest(http.MethodGet, text, nil)
	return err == nil && r.URL.Scheme == "https" && r.URL.Host != "" && r.URL.User == nil
}
