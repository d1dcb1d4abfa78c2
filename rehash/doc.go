// Package rehash takes over keys of other systems that stored a slow, salted or keyed hash, such as
// Gitea and Grafana. The SHA-256 of such a key is unknown until a client sends the key. Until then the
// store has a pending key. The first request with the key proves it, and a key under its SHA-256 replaces
// the pending key. Later requests cost what they cost for every other key.
//
// The command apikey import makes pending keys, or a program does:
//
//	row, err := rehash.GiteaRow(lastEight, salt, hash)
//	...
//	_, err = row.Import(ctx, issuer, apikey.ImportedKey{Name: "CI", Owner: "ann"}, time.Now().AddDate(0, 3, 0))
//
// The service adopts them:
//
//	adopter, err := rehash.New(store, issuer, rehash.Options{Schemes: []rehash.Scheme{rehash.Gitea()}})
//	...
//	keys, err := apikey.New(store, apikey.Options{Format: format, Adopt: adopter.Adopt})
//
// # Pending keys
//
// A pending key is a key like every other: lists show it, and it can be changed, suspended and revoked.
// No secret has its digest. Its digest is made from a public part of the other system's key, its finder:
// the last eight characters, the prefix, or the whole hash. Its ID begins with "rehash_" and commits to the
// hash and the deadline, which are in its Metadata under [MetadataHash] and [MetadataUntil]. A pending key is
// refused if one of them was edited.
// Its fields at the moment of the first use, except Metadata of this package, go to the key that
// replaces it.
//
// A pending key can be proved until its deadline. After that it is refused, and a key must be issued to its
// owner. Choose a deadline, so that the service can remove package rehash at some time. Rotate no pending key: the key of the other system is then refused,
// also during the grace.
//
// [apikey.Issuer.Identify] does not find a pending key by the other system's key. A report of a leaked key
// therefore revokes it only after its first use.
//
// # Costs
//
// A request with a key that the store knows costs nothing more. An unknown key of another shape than
// those of the Schemes is refused at once. One of such a shape costs one more lookup, by its finder, for each
// of the Schemes with that shape. If
// the finder is known, the request reads the store once more and computes one hash. Options.Concurrent
// bounds the hashes at one time. Further ones are refused with [apikey.ErrUnavailable], so that forged
// keys cannot use up the processor. The keys of Grafana have no finder but the hash itself, so every key of
// their shape costs a hash.
//
// While there are pending keys, an attacker with write access to the database can make a key, also if
// the Format has a pepper.
package rehash
