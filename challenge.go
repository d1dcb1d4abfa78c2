package apikey

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// addChallenges adds the values of WWW-Authenticate, one for each scheme. No scheme is registered for
// a key in another header field or a parameter, so these share the scheme ApiKey.
func (s *sources) addChallenges(realm string) {
	if realm != "" {
		realm = ` realm="` + realm + `"`
	}
	for _, source := range s.list {
		scheme := "ApiKey"
		if source.kind == schemeSource {
			scheme = source.name
		}
		c := scheme + realm
		if !slices.Contains(s.challenges, c) {
			s.challenges = append(s.challenges, c)
		}
		if source.kind == schemeSource && source.key == "bearer" {
			s.bearer = c
		}
	}
}

// challengesFor returns the values of WWW-Authenticate for a refusal with 401 or 403. The caller
// owns the slice.
func (s *sources) challengesFor(r *http.Request, err error, status int) []string {
	bearer := s.bearer != "" && s.hasBearerKey(r)
	var scope *scopeError
	switch {
	case status == http.StatusForbidden && bearer && errors.As(err, &scope):
		problem := `error="insufficient_scope"`
		if len(scope.scopes) > 0 && !slices.ContainsFunc(scope.scopes, func(s string) bool { return !validScope(s) }) {
			problem += `, scope="` + strings.Join(scope.scopes, " ") + `"`
		}
		return []string{withParameter(s.bearer, problem)}
	case status == http.StatusForbidden:
		return nil
	}
	challenges := slices.Clone(s.challenges)
	if bearer && !errors.Is(err, ErrMissing) {
		challenges[slices.Index(challenges, s.bearer)] = withParameter(s.bearer, `error="invalid_token"`)
	}
	return challenges
}

// hasBearerKey reports whether a request carries a key by the Bearer scheme.
func (s *sources) hasBearerKey(r *http.Request) bool {
	for i := range s.list {
		if s.list[i].kind != schemeSource || s.list[i].key != "bearer" {
			continue
		}
		for _, line := range r.Header["Authorization"] {
			if credentials, ok := s.credentials(i, line); ok && !isBlankValue(credentials) {
				return true
			}
		}
	}
	return false
}

// withParameter adds a parameter to a challenge (RFC 9110 section 11.6.1).
func withParameter(challenge, parameter string) string {
	if strings.Contains(challenge, " ") {
		return challenge + ", " + parameter
	}
	return challenge + " " + parameter
}

// validRealm reports whether a realm needs no escapes in a quoted string.
func validRealm(s string) bool {
	for i := range len(s) {
		if !isVisible(s[i]) && s[i] != ' ' || s[i] == '"' || s[i] == '\\' {
			return false
		}
	}
	return len(s) <= maxText
}
