package emby

import (
	"slices"
	"sync"
	"time"

	"github.com/latchkey-dev/apikey"
)

// ShowOnceMore shows a new key to its creator a second time. The first list that the creator
// requests within a minute contains the new key as AccessToken. Use this option for clients that
// ignore the response to their POST and look for the new key in the list, as Jellyfin requires.
// Setup wizards, a Terraform provider and many scripts do so.
//
// Only a request with the key that sent the POST sees the new key, and only in a list that
// includes it. The process holds the 100 newest such keys in memory. It forgets a key after
// showing it, and after a minute. If several servers share a database, the list must come from
// the server that answered the POST.
func ShowOnceMore() KeysOption {
	return func(k *keys) error {
		k.recent = new(recent)
		return nil
	}
}

const (
	recentTime = time.Minute
	maxRecent  = 100
)

// recent holds new keys until their creators have seen them a second time. The methods of a nil
// *recent do nothing.
type recent struct {
	mu   sync.Mutex
	keys []recentKey // oldest first
}

type recentKey struct {
	id, creator string // the IDs of the new key and of the key that created it
	secret      apikey.Secret
}

// keep stores a new key for its creator. It ignores a creator without an ID, because take could
// not recognize it.
func (r *recent) keep(id, creator string, secret apikey.Secret) {
	if r == nil || creator == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.keys) == maxRecent {
		r.keys = slices.Delete(r.keys, 0, 1)
	}
	r.keys = append(r.keys, recentKey{id, creator, secret})
	time.AfterFunc(recentTime, func() { r.take(id, creator) })
}

// take returns a new key to its creator and forgets it. It returns the zero Secret, which is
// empty, if the key is unknown or has another creator.
func (r *recent) take(id, creator string) (secret apikey.Secret) {
	if r == nil {
		return secret
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.keys, func(k recentKey) bool { return k.id == id && k.creator == creator })
	if i >= 0 {
		secret = r.keys[i].secret
		r.keys = slices.Delete(r.keys, i, i+1)
	}
	return secret
}
