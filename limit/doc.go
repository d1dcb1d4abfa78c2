// Package limit enforces the limits of keys, such as 100 requests a minute and 10,000 a month.
//
// A key carries its limits ([apikey.Key.Limits]), or a service derives them, for example from a plan in
// the key's metadata. Put a [Limiter] behind the Middleware and [apikey.Require], so that a request that
// these refuse spends nothing:
//
//	limits, err := limit.New(limit.Memory(), limit.Options{})
//	...
//	http.ListenAndServe(":8096", auth.Handler(limits.Handler(mux)))
//
// # Limits
//
// A rolling limit has a Burst and refills steadily: in any time t it permits at most Burst + Requests ×
// t / Per requests. It has no windows, so a client cannot use the whole limit twice around the end of
// a window. A quota with a Calendar starts again with each day or month in UTC.
//
// A key may have several limits. A request spends its cost on all of them or, if one of them would be
// exceeded, on no limit. A limit whose numbers change keeps its use if it keeps its name. A change of
// limits takes effect on every node as soon as any other change of the key. All keys of a series of
// rotations share one balance ([apikey.Key.Origin]).
//
// # Backends
//
// [Memory] counts in one process. Behind a load balancer, each of n processes would permit the whole
// limit. [Redis] counts for a fleet, in one round trip a request. It imports no client of Redis, but calls
// the client of the service. Without Redis, a fleet can limit in its load balancer, by a hash of the
// header that carries the key.
//
// While the backend does not answer, requests get 503, unless Options.AllowOnOutage is set.
package limit
