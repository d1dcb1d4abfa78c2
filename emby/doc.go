// Package emby lets clients written for Emby or Jellyfin use a service that package apikey
// protects. [Sources] reads keys from every place where these clients send them. [Paths] maps the
// paths that they request to the service's routes. [Keys] serves the endpoints that manage keys.
//
//	auth, err := apikey.New(store, apikey.Options{Sources: emby.Sources()})
//	...
//	desk, err := manage.New(issuer)
//	...
//	keys, err := emby.Keys(desk)
//	...
//	mux.Handle("/Auth/Keys", keys)
//	mux.Handle("/Auth/Keys/", keys)
//	http.ListenAndServe(":8096", emby.Paths(auth.Conceal(logger(auth.Handler(mux)))))
//
// Paths must be the outermost handler. A ServeMux outside it redirects
// //System/Info?api_key=KEY, and the redirect repeats the key.
//
// # Differences from Emby and Jellyfin
//
//   - Their keys are administrator keys. Here the scopes of a key limit it, only a key with
//     [manage.ScopeManage] manages keys, and one with an Owner manages only that owner's keys.
//   - Their servers use the first key that they find. This package refuses a request with two
//     different keys, as package apikey describes.
//   - Their lists show keys. Here the store holds only digests, so only the response that creates
//     a key shows it. [ShowOnceMore] shows it to its creator a second time.
//
// # Web pages of other origins
//
// Before a browser sends a key across origins, it sends a CORS preflight without the key. [Keys]
// does not answer preflights, and a pattern such as "OPTIONS /" conflicts in a ServeMux with the
// pattern of Keys. Put a CORS handler around the Middleware:
//
//	handler := emby.Paths(cors(auth.Handler(mux)), "GET /Users/{name}")
//
// The CORS handler answers OPTIONS requests itself and sets Access-Control-Allow-Origin on every
// response, so that pages can read refusals. A CORS handler inside auth.Handler needs
// apikey.Options.AllowPreflight, and pages cannot read refusals then. The wildcard does not cover
// Authorization, so allow the fields Authorization, X-Emby-Token, X-MediaBrowser-Token and
// X-Emby-Authorization by name. Keys do not need Access-Control-Allow-Credentials.
package emby
