// Package manage holds the rules of managing keys: who may see, create, change and revoke which keys.
// The dashboard, the JSON API and the endpoints of Emby are faces of it. None of
// them has rules of its own.
//
// A [Desk] belongs to one [apikey.Issuer]. For each request a service decides what the caller may do, as
// an [Access], and opens a [Session]:
//
//	desk, err := manage.New(issuer)
//	...
//	session, err := desk.As(manage.Access{Actor: user.Email, Owner: user.ID, Scopes: user.Scopes, MaxKeys: 10})
//	...
//	secret, key, err := session.Issue(ctx, apikey.NewKey{Name: "Backup job", Scopes: []string{"read"}}, "")
//
// # Who sees what
//
// A session with AllOwners sees every key. The session of an Owner behaves as if the keys of other
// owners did not exist. It neither lists nor counts them. Any operation on one of them returns
// [apikey.ErrNotFound], as for an unknown ID. An empty Owner never means every owner. There are two
// exceptions. The cursor of a page contains the position of a key among the keys of all owners, so a caller
// can estimate how many keys or changes there are. If one of two keys of a rotation was moved to another
// owner, the fields Replaces and Origin and the history of the other key keep the ID of the moved one.
//
// # Who may do what
//
// A session with ReadOnly changes nothing. Every other session may revoke, suspend and rename the keys
// that it sees, change their metadata, take away their scopes, end them sooner, and restrict them to
// networks. A change that gives a key more must keep these rules:
//
//   - Scopes: a session gives only scopes of its Access. A key may keep others that it has.
//   - Lifetime: a key expires at most MaxLifetime from now, not after NotAfter, and within the limit of
//     the Issuer, which counts from the creation of the key. A key may keep a later expiry that it has.
//   - A key that gets more time, more networks or another owner has no scope that the Access lacks. A key
//     that gets a scope, networks or another owner expires as early as the Access demands. A session can
//     thus never get more from a key of an administrator than a new key would give.
//   - Rotate gives the caller a secret with all scopes of the key, so the Access must have all of them.
//   - MaxKeys: the owner has at most so many keys that are neither revoked nor expired. Issuing a key and
//     reviving an expired one count. Changes that add no key are permitted above the limit too.
//   - Networks and limits of use: a new key, and a key that gets more, works only within the networks of the
//     Access and has its limits. Rotate refuses every other key.
//   - Owner and limits of use: only a session with AllOwners changes those of a key.
//   - Metadata: only a session with AllOwners gives a key the name [MetadataDeclaredBy], or changes its value.
//   - Resuming: only a session with AllOwners or MayResume resumes a suspended key.
//
// A [RefusedError] names the rule and the field, in a sentence that can be shown to the caller.
//
// The store checks the rules in the transaction that makes the change, so they also hold for concurrent
// requests on several servers. The store must be an [apikey.Conditional], as memstore and sqlstore
// are. The rules hold only for changes through a session. The Issuer and the store do not know them.
//
// # Repeated requests
//
// A client that lost an answer does not know whether its key was made. It can repeat Issue and Rotate
// with the same request ID, such as the Idempotency-Key of an HTTP request, and gets the key of the
// first call. The secret cannot be read again, so a client that did not get it rotates or revokes the
// key. The request ID determines the ID of the key, so it is remembered as long as the key.
//
// [Session.Update] takes the [Version] that the caller has read, so that two people who edit a key do not
// overwrite each other's changes.
//
// # Notices
//
// A [Reminder] calls a function of the service for keys that expire soon, are unused, or were rotated and are
// still used. It sends each [Notice] once, however many processes run a Reminder. [Session.Notices] lists
// the Notices that are due.
package manage
