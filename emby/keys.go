package emby

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// maxBody limits the body of a request, a form with a name, in bytes.
const maxBody = 16 << 10

// Keys returns a handler for the endpoints with which clients of Emby and Jellyfin manage keys.
// Mount it at /Auth/Keys and /Auth/Keys/, behind the Middleware:
//
//	GET /Auth/Keys?StartIndex=0&Limit=50   lists the active keys, oldest first
//	POST /Auth/Keys?App=NAME               creates a key; only this response shows it
//	DELETE /Auth/Keys/KEY                  revokes a key; 204 even if it is unknown
//	POST /Auth/Keys/KEY/Delete             the same
//
// The caller's key needs [manage.ScopeManage]; [apikey.Require] refuses others. A key with an Owner
// manages the keys of that owner, and keys of other owners are unknown to it. A key without an Owner
// is an administrator key: it lists and revokes every key, with any Owner. [AccessOf] replaces these
// rules. Each key can revoke itself. A key created here has no scopes, so it cannot create others. It
// expires no later than the caller's key, and has its networks and limits. The response to a change
// that the [manage.Access] does not permit is 403 and does not state the rule.
//
// A list has the form {"Items":[…],"TotalRecordCount":n,"StartIndex":0}. AccessToken is empty,
// because the store holds only digests; [ShowOnceMore] is for clients that look for a new key
// there. DeviceId is the ID of the key, which DELETE accepts. Id is a hash of that ID, because
// clients expect a number; no endpoint accepts it. DateLastActivity is 0001-01-01T00:00:00Z for
// a key that was never used.
//
// Names of parameters are case-insensitive. StartIndex and Limit are whole numbers of at least 0.
// Without Limit, or with Limit=0, a list contains all keys. Every list reads all active keys to
// count them, 500 at a time. It counts and shows only the 10,000 newest.
//
// App may also be in a form of at most 16 KiB in the body. It follows the rules of
// apikey.Key.Name; otherwise the response is 400. KEY is the key itself or its ID, never its hint,
// because keys can share a hint. An imported key can equal the ID of another key. The
// response to such a KEY is 409 and neither key is revoked. Name the imported key by its ID, or
// the other by the key itself. [Paths] keeps KEY out of access logs.
//
// If the store fails, the response is 503 and slog.Default() logs the error. Responses have
// "Cache-Control: no-store". The handler is safe for concurrent use. The error of Keys wraps
// [apikey.ErrInvalid] if manage.New did not make desk or an option is out of its limits.
func Keys(desk *manage.Desk, options ...KeysOption) (http.Handler, error) {
	if desk == nil || desk.Issuer() == nil {
		return nil, invalid("Desk", "nil; want one made by manage.New")
	}
	k := &keys{desk: desk, access: defaultAccess, scopes: []string{manage.ScopeManage}}
	k.shape = regexp.MustCompile("^" + desk.Issuer().Format().Pattern() + "$")
	for _, option := range options {
		if err := option(k); err != nil {
			return nil, err
		}
	}
	mux := http.NewServeMux()
	for pattern, serve := range map[string]func(*visit){
		"GET " + keysPath:                    (*visit).list,
		"POST " + keysPath:                   (*visit).create,
		"DELETE " + keysPath + "/{key}":      (*visit).revoke,
		"POST " + keysPath + "/{key}/Delete": (*visit).revoke,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { k.visit(w, r, serve) })
	}
	// Without these patterns, ServeMux would respond in plain text.
	mux.HandleFunc(keysPath, allowOnly("GET, HEAD, POST"))
	mux.HandleFunc(keysPath+"/{key}", allowOnly("DELETE"))
	mux.HandleFunc(keysPath+"/{key}/Delete", allowOnly("POST"))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "The endpoint does not exist.")
	})
	return apikey.Require(k.scopes...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})), nil
}

// A KeysOption configures [Keys].
type KeysOption func(*keys) error

// AccessOf lets the service decide what a caller may do, instead of the rules of [Keys]. Keys calls
// access for each request that carries a key, with or without manage.ScopeManage, and concurrently.
// Begin with [manage.ByKey], which requires that scope and lets no new key outlive the caller's.
// The zero Access refuses the request with 403. So does an Access that [manage.Desk.As] refuses, which
// slog.Default() logs.
func AccessOf(access func(apikey.Key) manage.Access) KeysOption {
	return func(k *keys) error {
		if access == nil {
			return invalid("AccessOf", "nil; want a function")
		}
		k.access, k.scopes = access, nil
		return nil
	}
}

// defaultAccess returns the Access of a caller without AccessOf. Media servers know no owners, so a
// key without an owner is an administrator key.
func defaultAccess(k apikey.Key) manage.Access {
	if k.Owner == "" && k.HasScopes(manage.ScopeManage) {
		return manage.Access{Actor: manage.KeyActor(k), AllOwners: true, Networks: k.Networks, Limits: k.Limits, NotAfter: k.ExpiresAt}
	}
	return manage.ByKey(k)
}

type keys struct {
	desk   *manage.Desk
	access func(apikey.Key) manage.Access
	scopes []string       // scopes that each caller needs
	recent *recent        // nil without ShowOnceMore
	shape  *regexp.Regexp // matches a text that is a key and not an ID
}

// A visit is one request of a caller.
type visit struct {
	*keys
	w       http.ResponseWriter
	r       *http.Request
	caller  string // ID of the caller's key
	session *manage.Session
}

// visit opens a session for the caller and calls serve. It refuses a caller whose Access is unusable.
func (k *keys) visit(w http.ResponseWriter, r *http.Request, serve func(*visit)) {
	caller, _ := apikey.FromContext(r.Context()) // Require admits only preflights without a key
	access := k.access(caller)
	session, err := k.desk.As(access)
	if err != nil {
		if access.Actor != "" || access.Owner != "" || access.AllOwners {
			slog.ErrorContext(r.Context(), "emby: unusable Access", "error", err)
		}
		forbidden(w)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	serve(&visit{keys: k, w: w, r: r, caller: caller.ID, session: session})
}

func (v *visit) create() {
	if err := v.r.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			refuse(v.w, http.StatusRequestEntityTooLarge, "The body is larger than 16 KiB.")
		} else {
			refuse(v.w, http.StatusBadRequest, "The query or the form is malformed.")
		}
		return
	}
	name, ok := parameter(v.r.Form, "App")
	if !ok {
		refuse(v.w, http.StatusBadRequest, "App has several values.")
		return
	}
	secret, key, err := v.session.Issue(v.r.Context(), apikey.NewKey{Name: name}, "")
	switch {
	case errors.Is(err, apikey.ErrInvalid):
		refuse(v.w, http.StatusBadRequest, "App must be a name of 1 to 100 characters without control characters.")
	case err != nil:
		v.fail(err)
	default:
		v.recent.keep(key.ID, v.caller, secret)
		item := newItem(key)
		item.AccessToken = secret.Reveal()
		writeJSON(v.w, item)
	}
}

func (v *visit) revoke() {
	id, err := v.idInPath()
	if err == nil {
		_, err = v.session.Revoke(v.r.Context(), id)
	}
	switch {
	case err == nil, errors.Is(err, apikey.ErrNotFound):
		v.w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, errTwoKeys):
		refuse(v.w, http.StatusConflict, "The path is one key and the ID of another. "+
			"Name the first key by its ID, or the second by the key itself.")
	default:
		v.fail(err)
	}
}

// errTwoKeys means that the text in the path is one key and the ID of another.
var errTwoKeys = errors.New("emby: the text is one key and the ID of another")

// idInPath returns the ID of the key that the path names by the key itself or by its ID. A text that
// is not a key, or is a key that the session may not see, counts as an ID. If it has the shape of a
// key, idInPath returns "", which is no ID.
func (v *visit) idInPath() (id string, err error) {
	text, ctx := v.r.PathValue("key"), v.r.Context()
	if concealed, ok := ctx.Value(concealedKey{}).(apikey.Secret); ok && text == redacted {
		text = concealed.Reveal()
	}
	text = strings.TrimSpace(text)
	key, err := v.session.Identify(ctx, apikey.NewSecret(text))
	unknown := errors.Is(err, apikey.ErrMalformed) || errors.Is(err, apikey.ErrNotFound)
	switch isKey := v.shape.MatchString(text); {
	case unknown && isKey:
		// The store must not get the text as an ID, because it may be the key of another owner.
		return "", nil
	case unknown:
		return text, nil
	case err != nil, isKey:
		return key.ID, err
	}
	switch other, err := v.session.Get(ctx, text); {
	case errors.Is(err, apikey.ErrNotFound):
		return key.ID, nil
	case err != nil:
		return "", err
	case other.ID != key.ID:
		return "", errTwoKeys
	}
	return key.ID, nil
}

// allowOnly returns a handler that refuses every request and names the methods that its path allows.
func allowOnly(methods string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", methods)
		refuse(w, http.StatusMethodNotAllowed, "The endpoint allows only "+methods+".")
	}
}

// fail writes the response to a request that failed with an error of the session.
func (v *visit) fail(err error) {
	if errors.Is(err, manage.ErrRefused) {
		forbidden(v.w)
		return
	}
	if v.r.Context().Err() == nil { // otherwise the client has gone
		slog.ErrorContext(v.r.Context(), "emby: key store failed", "error", err)
	}
	v.w.Header().Set("Retry-After", "1")
	refuse(v.w, http.StatusServiceUnavailable, "The keys could not be read or written. Try again later.")
}

// forbidden writes the 403 of package apikey.
func forbidden(w http.ResponseWriter) {
	refuse(w, http.StatusForbidden, "The API key does not permit this request.")
}

func invalid(field, problem string) error {
	return fmt.Errorf("emby: %w", &apikey.InvalidError{Field: field, Problem: problem})
}
