// Package manageapi is a JSON API with which programs manage keys. It is a face of package manage,
// which holds the rules.
//
// [New] returns a handler with these endpoints. Mount it with [http.StripPrefix]; every URL in its
// responses is relative.
//
//	GET   /keys                a page of keys
//	POST  /keys                create a key; only this response contains its secret
//	GET   /keys/{id}           a key
//	PATCH /keys/{id}           change a key (JSON merge patch, RFC 7396)
//	POST  /keys/{id}/rotate    make a successor of a key; only this response contains its secret
//	POST  /keys/{id}/suspend   suspend a key
//	POST  /keys/{id}/resume    resume a suspended key
//	POST  /keys/{id}/revoke    revoke a key permanently; DELETE /keys/{id} is the same
//	GET   /keys/{id}/history   the changes of a key
//	GET   /keys/{id}/use       the remaining use of a key within its limits, with Options.Limiter
//	GET   /history             the changes of all keys, for administrators
//	POST  /revoke-all          revoke all keys of an owner
//	POST  /identify            find the key of a secret
//	GET   /whoami              the caller's own key and permissions
//	GET   /openapi.json        the description of the API (OpenAPI 3.1)
//
// # Callers
//
// Without [Options].Authorize, wrap the handler in [apikey.Middleware.Handler]. [manage.ByKey] then
// decides: a key with [manage.ScopeManage] manages the keys of its owner, and a key without an owner
// and with [manage.ScopeAdminister] manages every key. /whoami accepts every key.
//
// For other rules, set Options.Authorize. It may recognise the key of an administrator by its ID or by a
// scope that only operators give, and return a [manage.Access] with AllOwners. It must not decide by a
// value that the owner of a key can choose, such as its name.
//
// # Requests
//
// A body is a JSON object of at most 64 KiB. The handler refuses unknown and repeated members and
// parameters with 400, because a misspelled filter would select every key. Only GET /openapi.json ignores
// parameters. Times are in RFC 3339 format, and durations in seconds.
//
// The ETag of a key is its [manage.Version]. It identifies the settings of the key: last_used_at
// and status can change without it. If-Match makes a change conditional. PATCH compares and changes
// the key in one step. The comparison ignores "W/", because proxies that compress responses make tags weak.
//
// An Idempotency-Key of 1 to 100 visible ASCII characters makes it safe to repeat a request that
// creates or rotates a key. The value is a string of RFC 9651 such as "8e03978e", or the same without
// quotes. The response to a repeated request is 200 with "replayed": true, without the secret. A
// rotation must not have both Idempotency-Key and If-Match, because the first request changes the key.
//
// # Responses
//
// Errors are problem+json (RFC 9457). The member code identifies the reason for programs, and field
// names the member or parameter at fault. A key that does not exist and a key that the caller may not
// see get the same 404. If the store or the Limiter fails, the response is 503 with Retry-After, and Options.Logger
// receives the error.
//
// Responses have "Cache-Control: no-store". The handler supports no CORS. It refuses changes by pages
// of other origins ([http.CrossOriginProtection]), so Options.Authorize may accept a session cookie.
package manageapi
