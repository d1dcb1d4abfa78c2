// Package cachestore keeps the keys of another store in memory, and knows when they have
// changed.
//
//	feed, _ := apikey.StoreAs[apikey.ChangeFeed](database)
//	cache, err := cachestore.New(database, feed, cachestore.Options{})
//	defer cache.Close()
//	auth, err := apikey.New(cache, apikey.Options{})
//
// A hit takes no lock and costs about as much as reading the clock. What the cache holds is
// bounded, with a bound of its own for digests that nobody has, so that a flood of made-up
// keys evicts no real one. Simultaneous misses of one digest are one read of the store, which
// does not end when the request that caused it does. Errors are never cached.
//
// # What is promised
//
// With a ChangeFeed: after Revoke has returned nil, the process that revoked refuses the key
// at once, and every other within the Lease (3 s), normally within the Poll interval (1 s),
// also when the database cannot be reached. A key that was created is valid at once in the
// process that created it, and within the Poll interval where it had been looked up before.
// A write that returned an error may have happened: repeat it. SQL typed by hand, which
// moves no revision, is seen within MaxAge (5 min). To refuse is about requests that begin
// then; handlers and streams that are running go on.
//
// It holds because every answer is either from an entry, before the last poll that the feed
// answered was sent plus the Lease, or from a read that began at most QueryTimeout ago; New
// refuses options by which Poll and QueryTimeout do not fit into the Lease. Times are this
// process's own, by the monotonic and by the wall clock, because the monotonic clock stands
// still while a machine is suspended. When the Lease ends, keys are not refused as unknown:
// the store could not answer, which is [apikey.ErrUnavailable] and a 503. So it is for a
// few seconds when a backup was restored, which is taken for a replica that lags until it has
// lasted for a Lease.
//
// It does not hold if
//   - the database loses commits that it acknowledged (asynchronous commit, a failover that
//     loses data);
//   - feed or store read from a replica that lags behind. A feed is found out, and refused,
//     unless it lags for longer than the Lease; so is a store that implements
//     [apikey.StampedStore], and others are not;
//   - the feed does not announce this process's writes to Subscribe: then they are seen as
//     those of others are;
//   - [Options.AllowStaleAfterLease] is set, which adds to the Lease;
//   - there is no feed: then a revoked key is accepted for up to the TTL (5 s), or the
//     QueryTimeout if that is longer, in every process.
//
// A store that is not a StampedStore can have its entries kept for the TTL only, since the
// cache cannot tell how old an answer was. A wrapper that hides LookupAt is such a store,
// even if what it wraps is one: its own Lookup must not be passed by. A wrapper that embeds
// a StampedStore and has a Lookup of its own needs a LookupAt of its own as well.
package cachestore
