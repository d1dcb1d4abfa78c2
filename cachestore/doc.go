// Package cachestore caches the keys of another store in memory and follows its changes.
//
//	cache, err := cachestore.New(store, cachestore.Options{})
//	defer cache.Close()
//	auth, err := apikey.New(cache, apikey.Options{})
//
// A hit takes no lock and costs about as much as reading the clock. The cache is bounded, and unknown
// digests have a bound of their own, so that a flood of invented keys evicts no real key. Concurrent
// misses of one digest share one read of the store. The read continues when the request that started
// it ends. Errors are never cached.
//
// # Revocation
//
// After Revoke returns nil, the process that called it refuses the key at once. Every other process
// refuses the key within [Options.Lease] (3 s), also when the database cannot be reached. Normally it
// takes one [Options.Poll] interval (1 s). The same bounds hold for every other change of a key.
//
// The bounds apply to the start of a request. Handlers and streams that already run continue. A write
// that returned an error may have happened, so repeat it. A change that advances no revision, such as
// SQL typed by hand, takes effect within [Options.MaxAge] (5 min).
//
// A new key is valid at once in the process that created it. Another process may have cached its
// digest as unknown, and accepts the key within one Poll interval.
//
// # Preconditions
//
// The bounds hold if all of this is true:
//   - The database keeps every commit that it acknowledged. Asynchronous commit and a failover that
//     loses data break this.
//   - The feed and the store read from the primary database. The cache refuses answers that are older
//     than a Version it has seen. It cannot detect a feed that always lags, or a lagging store that
//     is not an [apikey.StampedStore].
//   - The feed announces this process's writes to its subscribers. Otherwise this process, too, refuses a
//     key only within the Lease.
//   - [Options.AllowStaleAfterLease] is 0. Otherwise it adds to the Lease.
//   - [Options.TTLOnly] is false. Otherwise every process accepts a revoked key for up to
//     [Options.TTL] (5 s).
//
// # How the cache keeps the bounds
//
// Each poll of the [apikey.ChangeFeed] removes the keys that changed and renews the lease on all
// others. The lease ends one Lease after the poll was sent. The cache answers from an entry under the
// lease, or from a read of the store. That read began at most one Lease before the request. New
// refuses options whose Poll and QueryTimeout do not fit into the Lease, because requests would wait
// in the gaps between two leases.
//
// The cache compares times of its own process only. It uses both the monotonic clock and the wall
// clock, because the monotonic clock stops while a machine is suspended.
//
// After the lease has ended, Lookup does not report a cached key as unknown. It returns an error that
// wraps [apikey.ErrUnavailable], and the Middleware responds with 503. The same happens for a few
// seconds after a backup was restored. The cache takes it for a lagging replica until the older
// Version has persisted for a whole Lease.
//
// # Stores without LookupAt
//
// Without LookupAt the cache cannot tell how old an answer is, so it keeps entries for the TTL only.
// The cache does not search behind a wrapper for LookupAt, because that would bypass the wrapper's
// Lookup. A wrapper that embeds a StampedStore and overrides Lookup must therefore override LookupAt
// as well.
package cachestore
