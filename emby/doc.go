// Package emby lets clients that were written for Emby or Jellyfin use a service whose
// keys are those of package apikey: it reads a key wherever they put it, finds routes by
// the paths they ask for, and serves the endpoints by which they manage keys.
//
//	auth, err := apikey.New(store, apikey.Options{Sources: emby.Sources()})
//	...
//	mux.Handle("/Auth/Keys", emby.Keys(issuer))
//	mux.Handle("/Auth/Keys/", emby.Keys(issuer))
//	http.ListenAndServe(":8096", emby.Paths(auth.Conceal(logger(auth.Handler(mux)))))
//
// # What differs from those servers
//
// In them every key is an administrator's. Here a key may do what its scopes say, and only
// one with [ScopeManage] may manage keys. They take the first key that they find; here a
// request with two keys that differ is refused, as package apikey does it. They show keys
// in lists; here only digests are kept, so a key is shown once, by the answer to the call
// that made it.
//
// # Web pages of other origins
//
// A browser asks before it sends a key across origins, by a CORS preflight that carries
// none. The Middleware lets it through with apikey.Options.AllowPreflight, but [Keys] does not
// answer it, and a pattern such as "OPTIONS /" conflicts in a ServeMux with that of Keys. So
// answer preflights in front of the mux:
//
//	handler := emby.Paths(auth.Handler(cors(mux)), "GET /Users/{name}")
//
// where cors sets Access-Control-Allow-Origin, and ends a request with method OPTIONS instead
// of passing it on. Outside of auth.Handler it needs no AllowPreflight, and pages of other
// origins can read refusals too.
package emby
