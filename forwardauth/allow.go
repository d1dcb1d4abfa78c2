package forwardauth

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/latchkey-dev/apikey"
)

// The header fields of the response of [Allow]. The proxy copies them into the request for the service.
const (
	IDField     = "X-Apikey-Id"
	NameField   = "X-Apikey-Name"
	OwnerField  = "X-Apikey-Owner"
	ScopesField = "X-Apikey-Scopes"
)

// Allow returns the handler at the end of the chain. It answers 200 without a body, which every proxy
// understands as permission.
//
// The response has each of the fields [IDField], [NameField], [OwnerField] and [ScopesField]. They are
// empty if the request has no key. Spaces separate the scopes, which are in the order of the key.
//
// The name and the owner are percent-encoded as UTF-8, because a field has no agreed encoding for text
// other than ASCII. decodeURIComponent in JavaScript and urllib.parse.unquote in Python decode them.
//
// Allow decides nothing: every request that reaches it is permitted.
func Allow() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, _ := apikey.FromContext(r.Context())
		h := w.Header()
		h.Set(IDField, visible(key.ID))
		h.Set(NameField, encode(key.Name))
		h.Set(OwnerField, encode(key.Owner))
		h.Set(ScopesField, scopes(key.Scopes))
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusOK)
	})
}

// encode percent-encodes every byte that is not unreserved (RFC 3986 section 2.3).
func encode(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// visible returns s unchanged if it has only visible ASCII characters, and percent-encodes it otherwise.
// Valid keys have visible IDs and scopes, but a store of the host may contain other keys.
func visible(s string) string {
	if strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7F }) {
		return encode(s)
	}
	return s
}

func scopes(list []string) string {
	shown := make([]string, len(list))
	for i, scope := range list {
		shown[i] = visible(scope)
	}
	return strings.Join(shown, " ")
}
