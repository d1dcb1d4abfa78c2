package leak

import (
	"context"
	"crypto/ecdsa"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/latchkey-dev/apikey"
)

// PublicKeys says how the endpoint [GitHub] fetches the public keys that verify signatures. The zero value
// is ready for use.
//
// The endpoint fetches the keys for the first request that it receives, and again for a request that comes
// when they are 30 minutes old. It also fetches them for an unknown identifier, but at most once a minute, so
// that forged identifiers cannot use up GitHub's rate limit. Another unknown identifier within that minute gets
// 503, because it may be a new one. The endpoint sends conditional requests, which do not count for that limit. If GitHub does not answer, keys that are up to 24 hours old remain in use.
type PublicKeys struct {
	// URL is the https URL of the keys; "" means GitHub's own.
	URL string
	// Token is an access token of GitHub, which raises the rate limit. It needs no permissions. The zero
	// Secret means requests without a token.
	Token apikey.Secret
	// Client sends the requests; nil means a client that does not follow redirects. Every request ends after
	// 5 seconds.
	Client *http.Client
}

const (
	githubKeys = "https://api.github.com/meta/public_keys/secret_scanning"

	fetchTimeout  = 5 * time.Second
	fetchInterval = time.Minute      // between two requests, whether they succeed or not
	freshFor      = 30 * time.Minute // keys are fetched again after this time
	usableFor     = 24 * time.Hour   // keys are not used after this time
)

// A keyring caches public keys by their identifiers.
type keyring struct {
	options PublicKeys
	logger  *slog.Logger
	// fetching holds one value while a request is sent. Callers with a fresh key do not wait for it.
	fetching chan struct{}

	mu        sync.Mutex
	keys      map[string]*ecdsa.PublicKey
	etag      string
	confirmed time.Time // when GitHub last sent or confirmed the keys
	tried     time.Time // when the last request was sent
}

func newKeyring(o PublicKeys, logger *slog.Logger) (*keyring, error) {
	if o.URL == "" {
		o.URL = githubKeys
	}
	if !isHTTPS(o.URL) {
		return nil, invalid("PublicKeys.URL", "%q: want an https URL", o.URL)
	}
	if o.Client == nil {
		o.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return &keyring{options: o, logger: logger, fetching: make(chan struct{}, 1)}, nil
}

// find returns the key with an identifier. It returns errForged if GitHub has no such key, and
// errUndecided if the keyring does not know.
func (k *keyring) find(ctx context.Context, identifier string) (*ecdsa.PublicKey, error) {
	asked := time.Now()
	if key, fresh := k.cached(identifier); fresh {
		return key, nil
	}
	select {
	case k.fetching <- struct{}{}:
		defer func() { <-k.fetching }()
	case <-ctx.Done():
		return nil, errUndecided
	}
	// Another request may have fetched the keys by now.
	if key, fresh := k.cached(identifier); fresh {
		return key, nil
	}
	if k.mayFetch() {
		// ctx does not end the fetch. Otherwise a client that disconnects would use up the only request of a minute.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		if err := k.fetch(ctx); err != nil {
			k.logger.ErrorContext(ctx, "leak: public keys cannot be fetched", "error", err)
		}
	}
	return k.decide(identifier, asked)
}

// cached returns a key that is known and fresh.
func (k *keyring) cached(identifier string) (*ecdsa.PublicKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := k.keys[identifier]
	return key, key != nil && time.Since(k.confirmed) < freshFor
}

// mayFetch reports whether a request may be sent now, and records that it is sent.
func (k *keyring) mayFetch() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.tried.IsZero() && time.Since(k.tried) < fetchInterval {
		return false
	}
	k.tried = time.Now()
	return true
}

// decide returns a key after the keys were fetched, or after that was not possible. asked is the time at which the request
// for the key arrived.
func (k *keyring) decide(identifier string, asked time.Time) (*ecdsa.PublicKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	age := time.Since(k.confirmed)
	switch key := k.keys[identifier]; {
	case key != nil && age < usableFor:
		return key, nil
	case key == nil && !k.tried.Before(asked) && !k.confirmed.Before(k.tried):
		return nil, errForged // GitHub has answered since then, and the key is not in its answer
	}
	return nil, errUndecided
}
