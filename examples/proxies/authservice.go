package proxies

import (
	"net/http"
	"net/netip"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/forwardauth"
	"github.com/latchkey-dev/apikey/limit"
)

// newAuthService returns an auth service for proxies on this machine. authorize sees the method and the URL of
// the client.
func newAuthService(store apikey.KeyStore, convention forwardauth.Convention, authorize func(*http.Request, *apikey.Key) error) (http.Handler, error) {
	auth, err := apikey.New(store, apikey.Options{Authorize: authorize})
	if err != nil {
		return nil, err
	}
	limits, err := limit.New(limit.Memory(), limit.Options{})
	if err != nil {
		return nil, err
	}
	return forwardauth.Restore(auth.Handler(limits.Handler(forwardauth.Allow())), forwardauth.Options{
		Convention: convention,
		Trusted:    []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")},
	})
}
