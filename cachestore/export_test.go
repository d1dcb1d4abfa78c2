package cachestore

import "github.com/latchkey-dev/apikey"

// NewWithFeed is New with the given ChangeFeed instead of the store's own, so that tests can delay and
// forge its answers. A nil feed means TTLOnly.
func NewWithFeed(store apikey.KeyStore, feed apikey.ChangeFeed, o Options) (*Store, error) {
	return newStore(store, feed, o, nil)
}
