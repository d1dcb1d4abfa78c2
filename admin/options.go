package admin

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/scs/v2"

	"github.com/latchkey-dev/apikey"
)

// Options configures New. One of PasswordHash and Authorize must be set, and not both.
type Options struct {
	// PasswordHash is what HashPassword made of the administrator's password: argon2id in PHC
	// string format. Hashes of other programs are taken if they are no weaker than the OWASP
	// Password Storage Cheat Sheet asks. To end all sessions change it.
	PasswordHash string

	// Authorize tells who makes a request, for hosts that know their administrators already. The
	// actor is shown, and written into audit trails. An error, or no actor, is answered with 403,
	// or with 503 if it wraps [apikey.ErrUnavailable]; the error is logged and not shown. It is
	// asked about each request for a page and called concurrently.
	Authorize func(*http.Request) (actor string, err error)

	// Sessions is the host's own manager of sessions, so that they outlive the process or are
	// shared by several. It may, but need not, stand around the dashboard with LoadAndSave.
	// Set its Cookie.Secure, since the dashboard leaves its cookie as it is. Nil is a
	// manager with sessions in memory, at most 12 hours long, or one without a request. Only with
	// PasswordHash.
	Sessions *scs.SessionManager

	// Name is what the service is called, in the head of each page, at most 100 characters; "" is
	// nothing.
	Name string

	// Example is a command that uses a key, which stands in it as the word KEY. "" is a curl line with the
	// header X-API-Key and a host to be filled in. The dashboard cannot know under what URL
	// its service is reached: the Host of a request is whatever a client says.
	Example string

	// Scopes are suggested in the form for a new key. Others may be typed.
	Scopes []string

	// Text is what the pages say. Nil is English; so is each of its fields that is empty.
	Text *Text

	// TrustedOrigins are the origins, "https://keys.example.com", under which browsers reach the
	// dashboard, where a proxy changes the Host and browsers without Sec-Fetch-Site are to be
	// served. See http.CrossOriginProtection.AddTrustedOrigin.
	TrustedOrigins []string

	// FormKey is the key of form tokens, at least 32 bytes. Give one to services with Authorize that
	// run as several processes: empty is a random one, under which the form of one process is
	// refused by another, and after a restart. With PasswordHash it is for the login alone,
	// and empty is one that is derived from the hash; each session has its own.
	FormKey apikey.Secret

	// ClientAddr tells where a request comes from, for counting logins; nil is the host in
	// RemoteAddr. Behind a proxy that is the proxy's, so that ten wrong passwords of
	// anybody make everybody wait: return the address that your proxy vouches for.
	ClientAddr func(*http.Request) string

	// Logger gets logins at level Info, refused ones at Warn and failures of stores at Error; nil
	// is slog.Default(). It is never given a password, a key or a query.
	Logger *slog.Logger
}

const minFormKey = 32 // bytes: the strength of the HMAC-SHA256 that it keys

// New returns the dashboard for the keys that issuer makes. Options without a way to know an
// administrator, or out of their limits, are an error that wraps [apikey.ErrInvalid] and names
// the field.
func New(issuer *apikey.Issuer, o Options) (*Handler, error) {
	if issuer == nil {
		return nil, invalid("Issuer: nil")
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	text, err := o.Text.complete()
	if err != nil {
		return nil, err
	}
	h := &Handler{
		issuer: issuer, keys: issuer.Manager(), text: text, pages: parsePages(),
		name: o.Name, example: parseExample(cmp.Or(o.Example, defaultExample)), scopes: slices.Clone(o.Scopes),
		authorize: o.Authorize, clientAddr: o.ClientAddr, logger: o.Logger,
		formKey: []byte(o.FormKey.Reveal()), once: newOnce(), now: time.Now,
	}
	h.audit, _ = apikey.StoreAs[apikey.Auditor](h.keys)
	_, h.touched = apikey.StoreAs[apikey.Toucher](h.keys)
	switch {
	case len(h.formKey) > 0:
	case o.PasswordHash != "":
		h.formKey = seal([]byte(o.PasswordHash), []byte("form tokens of package admin"))
	default:
		h.formKey = make([]byte, minFormKey)
		rand.Read(h.formKey) // which does not fail
	}
	for _, origin := range o.TrustedOrigins {
		if err := h.origins.AddTrustedOrigin(origin); err != nil {
			return nil, invalid("TrustedOrigins: %v", err)
		}
	}
	if o.Authorize == nil {
		hash, err := parsePasswordHash(o.PasswordHash)
		if err != nil {
			return nil, err
		}
		if hash.matches("") {
			return nil, invalid("PasswordHash: that of an empty password")
		}
		h.passwords = newPasswords(hash.matches)
		h.attempts = newAttempts(func() time.Time { return h.now() })
		h.sessions = newSessions(o.Sessions, o.PasswordHash)
	}
	return h, nil
}

func (o *Options) validate() error {
	switch {
	case o.PasswordHash == "" && o.Authorize == nil:
		return invalid("PasswordHash, Authorize: neither is set, so nobody could be known as an administrator; set one")
	case o.PasswordHash != "" && o.Authorize != nil:
		return invalid("PasswordHash, Authorize: both are set; set one")
	case o.Sessions != nil && o.Authorize != nil:
		return invalid("Sessions: without a login there are none; leave it nil with Authorize")
	case o.Sessions != nil && (o.Sessions.Store == nil || o.Sessions.Codec == nil || o.Sessions.Lifetime <= 0):
		return invalid("Sessions: want a manager made by scs.New, with a Store, a Codec and a Lifetime")
	case utf8.RuneCountInString(o.Name) > 100 || !utf8.ValidString(o.Name):
		return invalid("Name: want at most 100 characters of UTF-8")
	case o.Example != "" && (len(parseExample(o.Example)) < 2 || len(o.Example) > 1000):
		return invalid("Example: want a command of at most 1000 bytes in which the word %s stands for the key", keyInExample)
	}
	if n := len(o.FormKey.Reveal()); n > 0 && n < minFormKey {
		return invalid("FormKey: %d bytes; want at least %d random ones", n, minFormKey)
	}
	for _, scope := range o.Scopes {
		key := apikey.Key{ID: "scope", Name: "scope", Scopes: []string{scope}}
		if err := key.Validate(); err != nil {
			return fmt.Errorf("admin: %w", err)
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("admin: %w "+format, append([]any{apikey.ErrInvalid}, args...)...)
}
