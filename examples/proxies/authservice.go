package proxies

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/latchkey-dev/apikey"
)

// newAuthService answers the subrequests of nginx's auth_request. nginx sends them with the method,
// the URL and the header of the original request, so Authorize sees them too.
func newAuthService(store apikey.KeyStore, authorize func(*http.Request, *apikey.Key) error) (http.Handler, error) {
	auth, err := apikey.New(store, apikey.Options{
		// No Query, because nginx would send a key in the query to the service behind it.
		Sources:   []apikey.Source{apikey.Header("X-API-Key"), apikey.Bearer()},
		Authorize: authorize,
		OnRefuse:  refuseForNginx,
	})
	if err != nil {
		return nil, err
	}
	return auth.Handler(http.HandlerFunc(admit)), nil
}

// admit responds with 200 and the identity of the caller.
func admit(w http.ResponseWriter, r *http.Request) {
	key, _ := apikey.FromContext(r.Context())
	w.Header().Set("X-Caller-Id", key.ID)
	w.Header().Set("X-Caller-Scopes", strings.Join(key.Scopes, " "))
}

// refuseForNginx puts the status for the client into a header field. nginx understands only 401 and
// 403 from an auth service, and responds with 500 to other statuses.
func refuseForNginx(w http.ResponseWriter, _ *http.Request, err error) {
	w.Header().Set("X-Key-Status", strconv.Itoa(apikey.StatusCode(err)))
	w.WriteHeader(http.StatusForbidden)
}
