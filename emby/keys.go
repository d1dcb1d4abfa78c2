package emby

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/latchkey-dev/apikey"
)

// ScopeManage is the scope that a key needs to list, create and delete keys.
const ScopeManage = "apikeys:manage"

// maxBody is how much of a request's body is read: a form with a name.
const maxBody = 16 << 10

// Keys serves the endpoints by which clients of Emby and Jellyfin manage keys. Mount it at
// /Auth/Keys and /Auth/Keys/, behind the Middleware:
//
//	GET /Auth/Keys?StartIndex=0&Limit=50   the keys that may be used now, the newest first
//	POST /Auth/Keys?App=NAME               makes a key; its answer alone shows the key
//	DELETE /Auth/Keys/KEY                  revokes a key; 204, also if there is none
//	POST /Auth/Keys/KEY/Delete             the same
//
// The caller's key needs [ScopeManage], or is refused as [apikey.Require] does it. It is an
// administrator's: all keys of the Issuer's KeyManager are listed and can be revoked,
// whoever their Owner is, and its own too. The keys that it makes have no scopes, so they
// cannot make others. The actor of a change is the caller's key, by name and ID.
//
// A list is like those servers': {"Items":[…],"TotalRecordCount":n,"StartIndex":0}. In it
// AccessToken is the key's ID. DateLastActivity is 0001-01-01T00:00:00Z if the key was not
// used. Id is a number made of the ID, since clients want one; it is not for finding a key.
// Names of parameters are read in any case. StartIndex and Limit are whole numbers from 0 on;
// no Limit, or 0, is all. Because keys are counted, every list reads all of them, 500 at
// a time: it ends after 10,000, and neither counts nor shows the rest.
//
// App may also be in a form of at most 16 KiB in the body. It follows the rules of
// apikey.Key.Name, or is 400. KEY is the key itself or else its ID, never the hint, which
// another key could share. Paths keeps it out of access logs.
//
// A KeyManager that cannot answer is 503, and the cause is logged by slog.Default(). Responses
// are "Cache-Control: no-store". Keys panics if issuer is nil, as
// http.Handle does of a handler.
func Keys(issuer *apikey.Issuer) http.Handler {
	if issuer == nil || issuer.Manager() == nil {
		panic("emby: Keys: the Issuer is nil or was not made by apikey.NewIssuer")
	}
	k := &keys{issuer: issuer, manager: issuer.Manager()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+keysPath, k.list)
	mux.HandleFunc("POST "+keysPath, k.create)
	mux.HandleFunc("DELETE "+keysPath+"/{key}", k.revoke)
	mux.HandleFunc("POST "+keysPath+"/{key}/Delete", k.revoke)
	// Without these ServeMux would answer, which writes plain text.
	mux.HandleFunc(keysPath, allowOnly("GET, HEAD, POST"))
	mux.HandleFunc(keysPath+"/{key}", allowOnly("DELETE"))
	mux.HandleFunc(keysPath+"/{key}/Delete", allowOnly("POST"))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "There is nothing at this path.")
	})
	return apikey.Require(ScopeManage)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := apikey.FromContext(r.Context())
		w.Header().Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		ctx := apikey.WithActor(r.Context(), "API key "+caller.Name+" ("+caller.ID+")")
		mux.ServeHTTP(w, r.WithContext(ctx))
	}))
}

type keys struct {
	issuer  *apikey.Issuer
	manager apikey.KeyManager
}

func (k *keys) create(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			refuse(w, http.StatusRequestEntityTooLarge, "The body is larger than 16 KiB.")
		} else {
			refuse(w, http.StatusBadRequest, "The query or the form cannot be read.")
		}
		return
	}
	name, ok := parameter(r.Form, "App")
	if !ok {
		refuse(w, http.StatusBadRequest, "App is given more than once.")
		return
	}
	secret, key, err := k.issuer.Issue(r.Context(), apikey.Key{Name: name})
	switch {
	case errors.Is(err, apikey.ErrInvalid):
		refuse(w, http.StatusBadRequest, "App must be a name of 1 to 100 characters, none of them a control character.")
	case err != nil:
		unavailable(w, r, err)
	default:
		item := newItem(key)
		item.AccessToken = secret.Reveal()
		answer(w, item)
	}
}

func (k *keys) revoke(w http.ResponseWriter, r *http.Request) {
	id, err := k.find(r)
	if err == nil {
		_, err = k.manager.Revoke(r.Context(), id)
	}
	if err != nil && !errors.Is(err, apikey.ErrNotFound) {
		unavailable(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// find returns the ID of the key that is named in the path, by itself or by its ID.
func (k *keys) find(r *http.Request) (id string, err error) {
	named := r.PathValue("key")
	if taken, ok := r.Context().Value(concealedKey{}).(apikey.Secret); ok && named == redacted {
		named = taken.Reveal()
	}
	named = strings.TrimSpace(named)
	digest, err := k.issuer.Format().Digest(apikey.NewSecret(named))
	if err != nil {
		return named, nil // no key looks like this
	}
	key, err := k.manager.Lookup(r.Context(), digest)
	switch {
	case err == nil && key != nil:
		return key.ID, nil
	case err == nil:
		return "", errors.New("emby: Lookup returned neither a key nor an error")
	case errors.Is(err, apikey.ErrNotFound):
		return named, nil
	}
	return "", err
}

// allowOnly refuses requests with other methods than those.
func allowOnly(methods string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", methods)
		refuse(w, http.StatusMethodNotAllowed, "The methods here are "+methods+".")
	}
}

// unavailable answers that the KeyManager failed, and logs why.
func unavailable(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil { // else the client went away
		slog.ErrorContext(r.Context(), "emby: keys could not be managed", "error", err)
	}
	w.Header().Set("Retry-After", "1")
	refuse(w, http.StatusServiceUnavailable, "The keys could not be read or written. Try again later.")
}
