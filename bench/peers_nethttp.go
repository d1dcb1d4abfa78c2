package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/golang-jwt/jwt/v5"
	"github.com/shaj13/go-guardian/v2/auth"
	"github.com/shaj13/go-guardian/v2/auth/strategies/token"
	"github.com/shaj13/libcache"
	_ "github.com/shaj13/libcache/lru"
)

// netHTTPPeers are those that stand before an http.Handler, as this package does.
func netHTTPPeers() []subject {
	return []subject{
		headerPeer("handler written by hand", handlerAlone, inRequest, hasAccount, newHandwritten),
		headerPeer("go-guardian v2 token, cached", handlerAlone, inRequest, hasUser, newGuardian),
		jwtPeer(),
		sessionPeer(),
	}
}

// newGuardian is the token strategy as go-guardian's own examples set it up. The header's
// name is canonical, which spares it an allocation.
func newGuardian(accounts map[string]*account) http.Handler {
	cache := libcache.LRU.New(0)
	cache.SetTTL(5 * time.Minute)
	authenticate := func(_ context.Context, _ *http.Request, key string) (auth.Info, time.Time, error) {
		a, ok := accounts[key]
		if !ok {
			return nil, time.Time{}, token.ErrTokenNotFound
		}
		return auth.NewDefaultUser(a.name, "1", nil, nil), time.Now().Add(time.Hour), nil
	}
	strategy := token.New(authenticate, cache, token.SetParser(token.XHeaderParser("X-Api-Key")))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, err := strategy.Authenticate(r.Context(), r)
		if err != nil {
			http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
			return
		}
		serve(w, auth.RequestWithUser(user, r))
	})
}

func hasUser(r *http.Request) bool { return auth.User(r) != nil }

// jwtPeer verifies a token instead of looking a key up, so it cannot be revoked.
func jwtPeer() subject {
	return subject{name: "golang-jwt v5 HS256", bare: handlerAlone, told: inRequest, setup: func(*fixture) (trial, error) {
		secret := []byte(strings.Repeat("secret! ", 4))
		sign := func(with []byte) (string, error) {
			return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
				Subject: "Backup job", ExpiresAt: jwt.NewNumericDate(time.Now().Add(24 * time.Hour)),
			}).SignedString(with)
		}
		right, err := sign(secret)
		if err != nil {
			return trial{}, err
		}
		wrong, err := sign([]byte(strings.Repeat("another ", 4)))
		if err != nil {
			return trial{}, err
		}
		e := newExchange(newJWT(secret), newRequest("/library", "Authorization: Bearer "+right))
		return trial{
			once: e.once, rewind: e.rewind,
			check: accepted(e, e.with(newRequest("/library", "Authorization: Bearer "+wrong)), hasAccount),
		}, nil
	}}
}

func newJWT(secret []byte) http.Handler {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
	key := func(*jwt.Token) (any, error) { return secret, nil }
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		var claims jwt.RegisteredClaims
		if ok {
			_, err := parser.ParseWithClaims(text, &claims, key)
			ok = err == nil
		}
		if !ok {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		serve(w, r.WithContext(context.WithValue(r.Context(), accountKey{}, &account{name: claims.Subject})))
	})
}

// sessionPeer is a session in scs's own memstore. Its token is kept in plaintext there,
// by default. LoadAndSave refuses nobody, so a handler behind it does.
func sessionPeer() subject {
	return subject{name: "scs v2 session", bare: handlerAlone, told: inRequest, setup: func(*fixture) (trial, error) {
		sessions := scs.New()
		ctx, err := sessions.Load(context.Background(), "")
		if err != nil {
			return trial{}, err
		}
		sessions.Put(ctx, "account", "Backup job")
		right, _, err := sessions.Commit(ctx)
		if err != nil {
			return trial{}, err
		}
		if right == "" {
			return trial{}, errors.New("no session")
		}
		h := sessions.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if sessions.GetString(r.Context(), "account") == "" {
				http.Error(w, "unauthorized", http.StatusUnauthorized)
				return
			}
			serve(w, r)
		}))
		e := newExchange(h, newRequest("/library", "Cookie: session="+right))
		return trial{
			once: e.once, rewind: e.rewind,
			check: accepted(e, e.with(newRequest("/library", "Cookie: session="+strings.Repeat("A", len(right)))),
				func(r *http.Request) bool { return sessions.GetString(r.Context(), "account") == "Backup job" }),
		}, nil
	}}
}
