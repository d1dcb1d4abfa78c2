package apikey

import (
	"context"
	"errors"
	"time"
)

// A Digest stands for a key in stores and caches, which never see more of it.
// It is the SHA-256 of the key or, where the [Format] has a pepper, an
// HMAC-SHA256. It is no secret in the sense that presenting it opens nothing,
// but it is nobody's business either: keep it out of logs.
type Digest [32]byte

// A KeyStore tells whose key a digest is. It is all that a [Middleware] asks of
// a store, and it is called by many requests at once.
//
// Lookup returns the key with that digest, also when it is revoked or expired:
// [Key.Check] judges that. It returns [ErrNotFound], wrapped or not, when there
// is no such key. Every other error means that the store could not answer, and
// so does (nil, nil); the request is then refused with 503, not 401.
//
// The returned Key may be shared between requests. Neither the store nor its
// callers write to it, or to its Scopes and Metadata, ever again.
//
// A KeyStore that wraps another has a method Unwrap() KeyStore, by which the
// optional interfaces of the inner one are found; see [StoreAs].
type KeyStore interface {
	Lookup(ctx context.Context, d Digest) (*Key, error)
}

// A Toucher is a KeyStore that remembers when a key was last used. Touch is
// called once for each accepted request, so it neither blocks nor fails: it may
// drop what it cannot take. An unknown digest is ignored.
type Toucher interface {
	Touch(d Digest, at time.Time)
}

// A StampedStore is a KeyStore that can tell how old an answer is. LookupAt is
// Lookup, and tells a state of the store that the answer is not older than: every
// change up to the Cursor is in it. The Cursor comes with [ErrNotFound] too.
type StampedStore interface {
	LookupAt(ctx context.Context, d Digest) (*Key, Cursor, error)
}

// A ChangeFeed tells caches which digests have changed. The zero Cursor asks for
// the head alone. Creations move the head without being named, since only what
// was known before can be out of date; who remembers that a digest was unknown
// holds that for one Cursor only.
type ChangeFeed interface {
	// Changes returns the digests that changed after since, and the Cursor to
	// ask with next. An error tells nothing about what changed.
	Changes(ctx context.Context, since Cursor) (Changes, error)

	// Subscribe has f called for every write made through this ChangeFeed's own
	// process, creations included: after the write is durable and before its
	// method returns. f must not call the store. The returned function ends it.
	Subscribe(f func(Digest, Cursor)) (cancel func())
}

// A Cursor is a state of a store, as its ChangeFeed counts them. Within one Epoch
// a larger Revision is a later state; between epochs nothing can be compared. Tag
// is the store's own.
type Cursor struct {
	Epoch, Revision, Tag uint64
}

// Changes is the answer of a ChangeFeed.
type Changes struct {
	Digests []Digest // what changed, in no order
	Head    Cursor   // the state this answer was read from
	Reset   bool     // the feed cannot tell what changed: forget everything
}

// StoreAs finds the first store that implements T, an optional interface such as
// [Toucher], among store and what it wraps by Unwrap() KeyStore.
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

// The outcomes of a decision about a request. Compare with [errors.Is]; Events
// and the errors of Authenticate and Verify may wrap more detail around them.
var (
	// ErrMissing: the request carries no key. 401.
	ErrMissing = errors.New("apikey: no key in the request")
	// ErrMalformed: what was presented cannot be a key, so no store was asked. 401.
	ErrMalformed = errors.New("apikey: malformed key")
	// ErrNotFound: no key has this digest or, from a KeyManager, this ID. 401.
	ErrNotFound = errors.New("apikey: no such key")
	// ErrRevoked: the key was revoked. 401.
	ErrRevoked = errors.New("apikey: key is revoked")
	// ErrExpired: the key is past its ExpiresAt. 401.
	ErrExpired = errors.New("apikey: key has expired")
	// ErrAmbiguous: the request carries several keys that differ, or a query
	// that parsers read differently. 400.
	ErrAmbiguous = errors.New("apikey: more than one key in the request")
	// ErrForbidden: the key is valid, but does not permit this request. 403.
	ErrForbidden = errors.New("apikey: key does not permit this request")
	// ErrUnavailable: the store could not answer. 503.
	ErrUnavailable = errors.New("apikey: key store could not answer")
)

// The errors of those who manage keys.
var (
	// ErrExists: the ID or the digest is taken; nothing was written.
	ErrExists = errors.New("apikey: key exists already")
	// ErrInvalid: an argument is out of its limits; the text names it.
	ErrInvalid = errors.New("apikey: invalid")
)
