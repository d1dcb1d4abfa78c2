package leak

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// PlaintextActor is the actor in the audit trail of a key that arrived over plain HTTP. PlaintextSource is the
// Source of its [Report].
const (
	PlaintextActor  = "plain HTTP guard"
	PlaintextSource = "plain HTTP"
)

// PlaintextOptions configures [NewPlaintext]. The zero value is for a service to which clients connect
// directly.
type PlaintextOptions struct {
	// Proxies are the networks from which reverse proxies connect that end TLS. For their requests, the
	// fields X-Forwarded-Proto and Forwarded (RFC 7239) say whether the client used HTTPS. The proxies must
	// set one of these fields, and remove the ones that clients send. Fields of other peers are ignored.
	Proxies []netip.Prefix

	// KeepKeys refuses requests over plain HTTP, and logs the keys that they carried, without revoking the
	// keys. Set it until the log shows that Proxies is right.
	KeepKeys bool

	// OnLeak receives a Report of each key that arrived over plain HTTP, after the key was revoked; nil
	// ignores them. It is called once for a key, and for one Report at a time. An error is logged, and the
	// call is not repeated. With KeepKeys it is not called.
	OnLeak func(ctx context.Context, r Report) error

	// Logger receives revoked keys, and requests whose keys could not be checked, at level Warn. It receives
	// failures of the store and of OnLeak at level Error; nil means slog.Default(). It receives IDs of keys and
	// addresses of peers, and never a key.
	Logger *slog.Logger
}

// A Plaintext refuses requests that arrive over plain HTTP, and revokes the keys that they carried, because
// anyone on the network path could read them. [NewPlaintext] makes one. It is safe for concurrent use.
//
// Every request over plain HTTP gets the same 403, with or without a key, and whether or not the key is
// valid. The response is written before the key is looked up, so its time tells nothing either. A queue of
// 1,000 keys is checked in the background, at most 50 a second. If the queue is full, further keys are
// dropped and counted in the log. The key of a client that repeats its requests is then revoked later. Only a
// correct key is revoked, so a guesser cannot revoke the keys of others. A request with two different keys
// revokes neither. net/http itself answers "OPTIONS *" with 200, unless Server.DisableGeneralOptionsHandler is
// set.
//
// A key is revoked only if its request was certainly sent in the clear. If that is uncertain, the request
// gets the same 403 and the key is kept, because otherwise a wrong setting could revoke every key of a
// service. It is uncertain in these cases:
//
//   - A peer that is not in Proxies sends X-Forwarded-Proto or Forwarded. It may be a proxy that was forgotten.
//   - A proxy sends neither field, or values that differ or are unknown.
//   - The peer has a loopback address, or no address, as on a Unix socket.
//
// A proxy that ends TLS, is not in Proxies and sends neither field looks like a client. All keys that it
// passes on would be revoked, so begin with KeepKeys.
//
// Do not redirect plain HTTP to HTTPS in front of an API. A client that follows the redirect works, and
// sends its key in the clear every time. Leave port 80 closed, or put a Plaintext behind it.
//
// Source: draft-ietf-httpapi-privacy-06.
type Plaintext struct {
	auth    *apikey.Middleware
	proxies []netip.Prefix
	keep    bool
	logger  *slog.Logger
	exposed *exposed
	warned  atomic.Int64 // Unix seconds of the last log line about an uncertain request
}

// NewPlaintext returns a Plaintext that finds keys in the Sources of auth and revokes them through d. It
// starts a goroutine, which ends with [Plaintext.Close]. The error wraps [apikey.ErrInvalid] if d or auth is
// nil, or an option is out of its limits.
func NewPlaintext(d *manage.Desk, auth *apikey.Middleware, o PlaintextOptions) (*Plaintext, error) {
	if auth == nil {
		return nil, invalid("Middleware", "nil; want one made by apikey.New")
	}
	for i, p := range o.Proxies {
		if !p.IsValid() || p.Addr().Is4In6() {
			return nil, invalid(fmt.Sprintf("Proxies[%d]", i), "%v: want a network of IPv4 or IPv6", p)
		}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	session, err := newSession(d, manage.Access{Actor: PlaintextActor, ReadOnly: o.KeepKeys})
	if err != nil {
		return nil, err
	}
	p := &Plaintext{auth: auth, keep: o.KeepKeys, logger: o.Logger}
	for _, network := range o.Proxies {
		p.proxies = append(p.proxies, network.Masked())
	}
	p.exposed = newExposed(session, d.Issuer().Format(), o)
	return p, nil
}

// Handler returns a handler that calls next for requests over HTTPS and refuses the others. Put it around
// every other handler, including those that redirect or log.
func (p *Plaintext) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		way := p.wayOf(r)
		if way == encrypted {
			next.ServeHTTP(w, r)
			return
		}
		// Here and not in the background, because r must not be read after the handler has returned.
		secret, err := p.auth.Extract(r)
		p.refuse(w)
		switch {
		case way == uncertain:
			p.logUncertain(r)
		case err == nil:
			p.exposed.add(secret)
		}
	})
}

// Close waits until the keys that have arrived are checked, and ends the goroutine. If ctx ends before that,
// Close returns an error, and the other keys are not checked. Handlers still refuse requests afterwards, but
// revoke no keys.
func (p *Plaintext) Close(ctx context.Context) error { return p.exposed.close(ctx) }

const plaintextBody = `{"type":"about:blank","title":"Forbidden","status":403,"detail":"Use HTTPS. Replace a key that was sent without it."}`

// refuse writes the response, which is the same for all requests.
func (p *Plaintext) refuse(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Connection", "close") // so that a client does not send its next key on this connection
	w.WriteHeader(http.StatusForbidden)
	io.WriteString(w, plaintextBody)
}

const warnInterval = 60 // seconds

// logUncertain logs a request that may have come over HTTPS, at most once a minute.
func (p *Plaintext) logUncertain(r *http.Request) {
	now, last := time.Now().Unix(), p.warned.Load()
	if now-last >= warnInterval && p.warned.CompareAndSwap(last, now) {
		p.logger.WarnContext(r.Context(), "leak: cannot tell whether the client used HTTPS; name your proxies in PlaintextOptions.Proxies", "peer", r.RemoteAddr)
	}
}
