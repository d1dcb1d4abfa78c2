// Package limit enforces the limits of keys: so many requests a minute, so many a month.
//
// A key carries its limits ([apikey.Key.Limits]), or a service derives them, for example from a plan in
// the key's metadata. A [Limiter] stands behind the Middleware and [apikey.Require], so that a refused
// request spends nothing:
//
//	limits, err := limit.New(limit.Memory(), limit.Options{})
//	...
//	http.ListenAndServe(":8096", auth.Handler(limits.Handler(mux)))
//
// # Limits
//
// A rolling limit has a Burst and refills steadily: in any time t it permits at most Burst + Requests ×
// t / Per requests. It has no windows, so a client cannot use the whole limit twice around the end of
// one. A quota by Calendar begins anew with each day or month in UTC.
//
// A key may have several limits. A request spends its cost on all of them or, if one of them would be
// exceeded, on none. A limit that keeps its name keeps what was used when its numbers change. The change
// acts as soon as the change of a key does, on every node. All keys of a series of rotations share one
// balance ([apikey.Key.Origin]).
//
// # Backends
//
// [Memory] counts in one process. Behind a load balancer, each of n processes would permit the whole
// limit. [Redis] counts for a fleet, in one round trip a request. It needs no package of this module: the
// client is yours. Without Redis, a fleet can limit in its load balancer, by a hash of the header that
// carries the key.
//
// A backend that does not answer refuses requests with 503, unless Options.AllowOnOutage is set.
package limit
