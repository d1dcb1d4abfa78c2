package apikey

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"
)

// A Digest identifies a key to stores and caches, which never receive the key itself. It is the
// SHA-256 of the key or, if the [Format] has a pepper, an HMAC-SHA256. A Digest in a request gives no
// access. It still identifies a key, so package fmt and log handlers do not show it. A store that
// needs it as text encodes the bytes: hex.EncodeToString(d[:]).
type Digest [32]byte

// String returns "REDACTED".
func (Digest) String() string { return redacted }

// Format writes "REDACTED" for every verb.
func (Digest) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue returns "REDACTED".
func (Digest) LogValue() slog.Value { return slog.StringValue(redacted) }

// A KeyStore finds keys by their digest. A [Middleware] needs nothing else of a store. A KeyStore is
// safe for concurrent use.
//
// A KeyStore that wraps another one has a method Unwrap() KeyStore, by which [StoreAs] finds the
// optional interfaces of the inner store.
type KeyStore interface {
	// Lookup returns the key with this digest, even if it is revoked, suspended or expired. The
	// caller calls [Key.Check]. Lookup returns [ErrNotFound], wrapped or not, if no key has the
	// digest. Every other error, and a nil Key without an error, means that the store could not
	// answer. The Middleware then refuses the request with 503, not 401.
	//
	// Requests may share the returned Key. Neither the store nor its callers write to the Key, its
	// Scopes, its Networks or its Metadata.
	Lookup(ctx context.Context, d Digest) (*Key, error)
}

// A Toucher is a KeyStore that records the last use of keys.
type Toucher interface {
	// Touch records a use of the key with this digest. The Middleware calls it for each accepted
	// request, so it must neither block nor fail, and may drop uses. It ignores an unknown digest.
	Touch(d Digest, u Use)
}

// A Use is an accepted use of a key.
type Use struct {
	At time.Time
	// Addr is the address of the client, without a zone, and never a 4-in-6 address. It is the zero Addr
	// unless [Options].RecordAddress is set.
	Addr netip.Addr
}

// A StampedStore is a KeyStore that reports how old an answer is.
type StampedStore interface {
	// LookupAt is like Lookup, but also returns a Version. The answer, which may be [ErrNotFound],
	// reflects every change up to that Version.
	LookupAt(ctx context.Context, d Digest) (*Key, Version, error)
}

// A ChangeFeed reports to caches the digests of keys that have changed.
//
// Creating a key advances Head but does not list its digest, because no cache can hold a stale copy
// of a new key. A cache that remembers unknown digests must drop them when Head changes.
type ChangeFeed interface {
	// Changes returns the digests that changed after since, and the Version to pass to the next
	// call. For the zero Version it returns only Head. After an error the caller knows nothing about
	// the changes.
	Changes(ctx context.Context, since Version) (Changes, error)

	// Subscribe registers f for every write of this process, including creations. The store calls f
	// after the write is durable and before the method that wrote returns. f must not call the
	// store. The returned function ends the subscription.
	Subscribe(f func(Digest, Version)) (cancel func())
}

// A Version identifies a state of a store. Within one Epoch a larger Revision is a later state.
// Versions of different Epochs cannot be compared. Tag is for the store's own use.
type Version struct {
	Epoch, Revision, Tag uint64
}

// Changes is the answer of a [ChangeFeed].
type Changes struct {
	Digests []Digest // of the changed keys, in no order
	Head    Version  // the state from which this answer was read
	Reset   bool     // the feed does not know the changes; the caller must drop every entry
}

// StoreAs returns the first store that implements T, an optional interface such as [Toucher]. It
// tries store, and then the stores that Unwrap() KeyStore returns.
func StoreAs[T any](store KeyStore) (T, bool) {
	for store != nil {
		if t, ok := store.(T); ok {
			return t, true
		}
		wrapper, ok := store.(interface{ Unwrap() KeyStore })
		if !ok {
			break
		}
		store = wrapper.Unwrap()
	}
	var none T
	return none, false
}
