// Package apikey authenticates the programs that call an HTTP service. Each program has a
// named API key of its own, so that an administrator can revoke one key without affecting
// the others.
//
// A [Middleware] extracts the key from a request and looks up its digest in a [KeyStore].
// It puts the identity of the caller into the context of the request:
//
//	store := memstore.New()
//	auth, err := apikey.New(store, apikey.Options{})
//	...
//	http.ListenAndServe(":8096", auth.Handler(mux))
//
// Handlers read the identity with [FromContext]. Routes demand scopes with [Require]. An
// [Issuer] makes the keys:
//
//	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
//	...
//	secret, key, err := issuer.Issue(ctx, apikey.NewKey{Name: "Backup job"})
//
// # Where a key may be
//
// By default a key may be in the header X-API-Key or X-Emby-Token, in the query parameter
// api_key, or in Authorization with the Bearer scheme. See [Options] and [Source]. No place
// has precedence. A request must carry exactly one key, although it may carry that key in
// two places. A decision makes at most one lookup.
//
// # How a request is answered
//
// A refused request gets problem+json (RFC 9457) with a fixed text. A client cannot
// distinguish missing, malformed, unknown, revoked, suspended and expired keys.
// Options.Observe and the log get the reason.
//
//	no valid key                           401
//	several keys, or an ambiguous query    400
//	the key does not permit the request    403
//	a limit of the key is used up          429
//	the store could not answer             503
//
// # What a store knows
//
// Stores get digests and never a key, so a copy of the database or of a backup gives no
// access. The Middleware refuses malformed keys without a lookup. With a pepper in the
// [Format], it also refuses forged keys without a lookup. An attacker with write access to
// the database then cannot make a key.
//
// # Packages
//
// Package memstore keeps keys in memory. Package sqlstore keeps them in a database. Package
// cachestore, in front of it, makes lookups as cheap as in memory and brings every change to
// every node within seconds.
//
// Package manage decides who may manage which keys. Package admin is the dashboard in which
// an administrator adds, rotates and revokes keys. Package manageapi does the same as a JSON
// API. Package emby serves clients that were written for Emby and Jellyfin.
//
// Package limit enforces the limits of keys. Package forwardauth checks keys for services in
// other languages, behind nginx, Caddy, Traefik or Envoy. Package leak revokes keys that a
// secret scanner has found. Package rehash takes over keys of another system that stores
// slow, salted or keyed hashes of them.
//
// # Names for services
//
//   - Requests: [Middleware], [New], [Options], [Event], [FromContext], [NewContext],
//     [Require], [ReadWrite], [TrustProxies], [KeepPrivate]
//   - Sources: [Source], [Header], [Query], [Bearer], [Scheme], [Prefixed], [SourceFunc]
//   - Keys: [Key], [Limit], [Secret], [NewSecret], [Format], [NewFormat], [FormatOptions]
//   - Issuing: [Issuer], [NewIssuer], [IssuerOptions], [NewKey], [Scope], [ImportedKey]
//   - Managing: [Patch], [ListOptions], [Status], [Sort], [Keys], [WithActor]
//   - Errors: [InvalidError], [ReplacedError], and the values such as [ErrRevoked]
//
// # Names for authors of stores and middleware
//
// Most services that use memstore or sqlstore do not need these names. A store of your own
// implements [KeyStore], which is one method, or [KeyManager]. Package storetest checks
// a store against the rules of these interfaces. Middleware with a rule of its own calls
// [Refuse].
//
//   - Lookups: [KeyStore], [KeyManager], [Digest], [Toucher], [Use], [StoreAs]
//   - Caches: [StampedStore], [ChangeFeed], [Changes], [Version]
//   - Lists: [Page], [Counter], [Count], [MaxCount], [ValidID]
//   - Middleware: [SharedKey], [Refuse], [LimitedError], [ParseLimits], [CheckLimits], [StatusCode]
//   - Conditions: [Conditional], [Condition], and [Terms] for management tools
//   - Rotation: [Lineage], [SuccessorFinder], [MaxSuccessors]
//   - Notices: [Noticer], [NoticeClaim], [MaxNotices]
//   - Audit trail: [Actor], [Auditor], [AuditOptions], [AuditPage], [AuditEntry],
//     [FieldChange], [FieldChanges]
package apikey
