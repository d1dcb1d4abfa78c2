// Package rehash takes over keys of other systems that stored a slow, salted or keyed hash, such as
// Gitea and Grafana. The SHA-256 of such a key is unknown until a client sends the key. Until then the
// store has a pending key. The first request with the key proves it, and a key under its SHA-256 replaces
// the pending key. Later requests cost as much as those with every other key.
//
// The command apikey import makes pending keys. A program can make one too:
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
// No secret has its digest. Its digest is computed from the finder, which is a part or a hash of the other
// system's key: the last eight characters, the prefix, or the whole hash. The ID of a pending key begins with
// "rehash_" and commits to the hash and the deadline, which are in its Metadata under [MetadataHash] and
// [MetadataUntil]. A pending key is refused if one of them was edited. The key that replaces it gets the
// fields that it has at the first use, except the Metadata of this package.
//
// A pending key can be proved until its deadline. After the deadline it is refused, and its owner needs a new
// key. After the last deadline the service can remove package rehash. Do not rotate a pending key, because
// the key of the other system is then refused, even during the grace.
//
// [apikey.Issuer.Identify] does not find a pending key by the other system's key. A report of a leaked key
// therefore revokes the key only after its first use.
//
// The first use of a key can come just before the pending key is revoked. The key that replaced it then stays
// valid. To stop a leaked key, first revoke the pending key, then call Identify and revoke the key that it finds.
//
// # Costs
//
// A request with a key that the store knows costs nothing more. An unknown key that has the shape of no
// Scheme is refused at once. An unknown key costs one more lookup, by its finder, for each Scheme whose shape
// it has. If the finder is known, the request reads the store once more and computes one hash.
// Options.Concurrent bounds the hashes at one time. Further requests are refused with
// [apikey.ErrUnavailable], so that forged keys cannot use up the processor. The finder of a key of Grafana
// is the hash itself, so every unknown key of that shape costs a hash.
//
// While there are pending keys, an attacker with write access to the database can make a key, even if
// the Format has a pepper.
package rehash
