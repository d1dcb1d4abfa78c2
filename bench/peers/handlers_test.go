package peers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/golang-jwt/jwt/v5"
	"github.com/shaj13/go-guardian/v2/auth"
	"github.com/shaj13/go-guardian/v2/auth/strategies/token"
	"github.com/shaj13/libcache"
	_ "github.com/shaj13/libcache/lru"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/bench/interleave"
)

// newHandwritten returns a simple middleware that stores digests: it looks a hexadecimal SHA-256 up in a map under a
// mutex.
func newHandwritten(plain accounts) http.Handler {
	digest := func(key string) string {
		sum := sha256.Sum256([]byte(key))
		return hex.EncodeToString(sum[:])
	}
	digests := make(accounts)
	for key, a := range plain {
		digests[digest(key)] = a
	}
	var mu sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		a, ok := digests[digest(r.Header.Get("X-API-Key"))]
		mu.Unlock()
		serve(w, r, a, ok)
	})
}

// serve calls the handler if ok is true, and refuses the request otherwise.
func serve(w http.ResponseWriter, r *http.Request, a *account, ok bool) {
	if !ok {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	interleave.Serve(w, r.WithContext(context.WithValue(r.Context(), accountKey{}, a)))
}

// newGuardian returns the token strategy of go-guardian, set up as in its examples. The name of the header is canonical,
// which saves an allocation.
func newGuardian(known accounts) http.Handler {
	cache := libcache.LRU.New(0)
	cache.SetTTL(5 * time.Minute)
	authenticate := func(_ context.Context, _ *http.Request, key string) (auth.Info, time.Time, error) {
		a, ok := known[key]
		if !ok {
			return nil, time.Time{}, token.ErrTokenNotFound
		}
		return auth.NewDefaultUser(a.name, "1", nil, nil), time.Now().Add(time.Hour), nil
	}
	strategy := token.New(authenticate, cache, token.SetParser(token.XHeaderParser("X-Api-Key")))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, err := strategy.Authenticate(r.Context(), r)
		if err != nil {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		interleave.Serve(w, auth.RequestWithUser(user, r))
	})
}

// jwtPeer verifies a token without a lookup, so a token cannot be revoked.
func jwtPeer(tb testing.TB) peer {
	secret := []byte(strings.Repeat("secret! ", 4))
	sign := func(with []byte) string {
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
			Subject: "Backup job", ExpiresAt: jwt.NewNumericDate(time.Now().Add(24 * time.Hour)),
		}).SignedString(with)
		require.NoError(tb, err)
		return text
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		var claims jwt.RegisteredClaims
		_, err := parser.ParseWithClaims(text, &claims, func(*jwt.Token) (any, error) { return secret, nil })
		serve(w, r, &account{name: claims.Subject}, ok && err == nil)
	})
	return httpPeer("golang-jwt v5 HS256", h, interleave.Handler, sign(secret), sign([]byte(strings.Repeat("another ", 4))),
		func(token string) *http.Request {
			return interleave.Request("/library", "Authorization: Bearer "+token)
		})
}

// sessionPeer returns scs with its memstore, which stores tokens in plaintext by default. The handler refuses requests
// without a session, because LoadAndSave does not.
func sessionPeer(tb testing.TB) peer {
	sessions := scs.New()
	ctx, err := sessions.Load(context.Background(), "")
	require.NoError(tb, err)
	sessions.Put(ctx, "account", "Backup job")
	right, _, err := sessions.Commit(ctx)
	require.NoError(tb, err)
	h := sessions.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sessions.GetString(r.Context(), "account") == "" {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		interleave.Serve(w, r)
	}))
	return httpPeer("scs v2 session", h, interleave.Handler, right, strings.Repeat("A", len(right)),
		func(token string) *http.Request { return interleave.Request("/library", "Cookie: session="+token) })
}
