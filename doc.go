// Package apikey authenticates programs that call an HTTP service by API keys: static,
// named keys, one for each system that calls, so that each can be revoked alone.
//
// A [Middleware] takes the key out of a request, looks its digest up in a [KeyStore],
// and puts the identity it stands for into the request's context:
//
//	store := memstore.New()
//	auth, err := apikey.New(store, apikey.Options{})
//	...
//	http.ListenAndServe(":8096", auth.Handler(mux))
//
// Handlers read the identity with [FromContext], and routes ask for scopes with
// [Require]. An [Issuer] makes the keys:
//
//	issuer, err := apikey.NewIssuer(store, nil)
//	...
//	secret, key, err := issuer.Issue(ctx, apikey.Key{Name: "Backup job"})
//
// # Where a key may be
//
// By default in the header X-API-Key, the header X-Emby-Token or the query parameter
// api_key; see [Options] and [Source]. There is no precedence: a request must carry
// exactly one key, though it may carry it twice. It costs one lookup at most.
//
// # What a request is answered
//
// Requests without a valid key get a response of problem+json (RFC 9457) with a fixed
// text. Missing, malformed, unknown, revoked and expired keys cannot be told apart by
// it: the reason goes to Options.Observe and to the log.
//
//	no valid key                           401
//	several keys, or an ambiguous query    400
//	a scope is missing                     403
//	the store could not answer             503
//
// # What is kept
//
// Stores get digests and never a key, so there is nothing in a database, a log or a
// backup that opens the service. A [Format] with a pepper also refuses forged keys before
// any store is asked, and leaves those who can write to the database unable to make one.
//
// # Stores
//
// Package memstore keeps keys in memory, sqlstore in a database, and cachestore in front of
// it makes lookups as cheap as memory and revocations reach every node in time. A store of
// one's own implements [KeyStore], one method, or [KeyManager], and shows with package
// storetest that it keeps their rules.
//
// # Around it
//
// Package admin is the page on which an administrator adds, rotates and revokes keys.
// Package emby serves clients that were written for Emby and Jellyfin.
package apikey
