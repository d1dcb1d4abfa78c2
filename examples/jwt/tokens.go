package main

import (
	"crypto/ed25519"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey-dev/apikey"
)

// keyOrToken admits requests that carry either a valid key or a valid token. apikey.FromContext
// returns the identity of both, so apikey.Require works for both.
func keyOrToken(auth *apikey.Middleware, t tokens) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return auth.Optional(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, hasKey := apikey.FromContext(r.Context())
			token, err := tokenOf(r.Header)
			switch {
			case err != nil, hasKey && token != "":
				auth.Refuse(w, r, apikey.ErrAmbiguous)
				return
			case !hasKey:
				caller, err := t.verify(token)
				if err != nil {
					auth.Refuse(w, r, apikey.ErrMissing)
					return
				}
				w.Header().Set("Cache-Control", "private")
				r = r.WithContext(apikey.NewContext(r.Context(), caller))
			}
			next.ServeHTTP(w, r)
		}))
	}
}

// tokenOf returns the token in a header, or "" if there is none. A token contains two dots, and a
// key contains none.
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

// tokens verifies the tokens of one issuer for one audience.
type tokens struct{ key ed25519.PublicKey }

const issuer, audience = "https://login.example", "library"

type claims struct {
	jwt.RegisteredClaims
	Scope string `json:"scope"` // RFC 9068 section 2.2.3
}

func newClaims(subject, scope string, lifetime time.Duration) claims {
	return claims{jwt.RegisteredClaims{
		Issuer: issuer, Subject: subject, Audience: jwt.ClaimStrings{audience},
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(lifetime)),
	}, scope}
}

// verify returns the identity of a valid token.
func (t tokens) verify(token string) (apikey.Key, error) {
	var c claims
	_, err := jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return t.key, nil },
		jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithExpirationRequired(),
		jwt.WithIssuer(issuer), jwt.WithAudience(audience))
	if err != nil {
		return apikey.Key{}, err
	}
	return apikey.Key{ID: "token:" + c.Subject, Name: c.Subject, Scopes: strings.Fields(c.Scope)}, nil
}
