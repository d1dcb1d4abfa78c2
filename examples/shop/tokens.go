package main

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey-dev/apikey"
)

// keyOrToken admits requests that carry either a valid key or a valid token. apikey.FromContext returns
// the identity of both, so apikey.Require works for both; see docs/jwt-beside-keys.md.
func (s *shop) keyOrToken(next http.Handler) http.Handler {
	return s.auth.Optional(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, hasKey := apikey.FromContext(r.Context())
		token, err := tokenOf(r.Header)
		switch {
		case err != nil, hasKey && token != "":
			s.auth.Refuse(w, r, apikey.ErrAmbiguous)
			return
		case !hasKey:
			caller, err := s.tokens.verify(token)
			if err != nil {
				s.auth.Refuse(w, r, apikey.ErrMissing)
				return
			}
			w.Header().Set("Cache-Control", "private")
			r = r.WithContext(apikey.NewContext(r.Context(), caller))
		}
		next.ServeHTTP(w, r)
	}))
}

// tokenOf returns the token in a header, or "" if there is none. A token contains two dots, and a key
// contains none.
func tokenOf(h http.Header) (token string, err error) {
	for _, line := range h.Values("Authorization") {
		scheme, value, _ := strings.Cut(line, " ")
		if !strings.EqualFold(scheme, "Bearer") || strings.Count(value, ".") != 2 {
			continue
		}
		if token != "" {
			return "", errors.New("two tokens")
		}
		token = value
	}
	return token, nil
}

// tokens makes and verifies the tokens of the shop's app. A token identifies the customer who has logged in.
type tokens struct{ key []byte }

func newTokens() tokens {
	key := make([]byte, 32)
	rand.Read(key)
	return tokens{key}
}

const audience, tokenLifetime = "tea shop", 15 * time.Minute

func (t tokens) sign(c customer) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Subject: c.id, Audience: jwt.ClaimStrings{audience}, ExpiresAt: jwt.NewNumericDate(time.Now().Add(tokenLifetime)),
	}).SignedString(t.key)
}

// verify returns the identity of a valid token, which is its customer. A token may use the API, but not manage
// keys, because a stolen token could otherwise become a key that never expires.
func (t tokens) verify(token string) (apikey.Key, error) {
	var c jwt.RegisteredClaims
	_, err := jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return t.key, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(), jwt.WithAudience(audience))
	if err != nil {
		return apikey.Key{}, err
	}
	return apikey.Key{ID: "token:" + c.Subject, Name: "App", Owner: c.Subject, Scopes: []string{"orders:read", "orders:write"}}, nil
}

// issueToken logs the shop's app in.
func (s *shop) issueToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	c, err := checkPassword(r.PostFormValue("email"), r.PostFormValue("password"))
	if err != nil {
		http.Error(w, "Unknown email address or wrong password.", http.StatusUnauthorized)
		return
	}
	token, err := s.tokens.sign(c)
	if err != nil {
		http.Error(w, "Try again later.", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int(tokenLifetime.Seconds())})
}
