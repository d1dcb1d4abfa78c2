package emby_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/emby"
)

// cors allows web pages of every origin to use next.
func cors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		if r.Method != http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
		w.Header().Set("Access-Control-Allow-Headers", "X-Emby-Token")
		w.WriteHeader(http.StatusNoContent)
	})
}

func TestPreflights(t *testing.T) {
	t.Parallel()
	const preflight = "\nOrigin: http://tv\nAccess-Control-Request-Method: GET\nAccess-Control-Request-Headers: x-emby-token"
	for _, test := range []struct {
		name    string
		options apikey.Options
		wrap    func(s *service) http.Handler
		status  int    // of a preflight
		refusal string // Access-Control-Allow-Origin of a 401
	}{
		{"a CORS handler inside the Middleware answers", apikey.Options{AllowPreflight: true},
			func(s *service) http.Handler { return s.auth.Handler(cors(s.mux)) }, 204, ""},
		{"a CORS handler around the Middleware answers", apikey.Options{},
			func(s *service) http.Handler { return cors(s.auth.Handler(s.mux)) }, 204, "*"},
		{"the Middleware refuses them without AllowPreflight", apikey.Options{},
			func(s *service) http.Handler { return s.auth.Handler(cors(s.mux)) }, 401, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, test.options)
			keys := newKeys(t, s.issuer)
			s.mux.Handle("/Auth/Keys", keys)
			s.mux.Handle("/Auth/Keys/", keys)
			raw := s.listen(t, emby.Paths(test.wrap(s)))
			for _, target := range []string{"/System/Info", "/Auth/Keys", "/emby/auth/keys/{k}"} {
				res := raw(t, "OPTIONS "+target+preflight)
				assert.Equal(t, test.status, res.StatusCode, target)
				if test.status == 204 {
					assert.Equal(t, "*", res.Header.Get("Access-Control-Allow-Origin"), target)
					assert.Equal(t, "X-Emby-Token", res.Header.Get("Access-Control-Allow-Headers"), target)
				}
			}
			res := raw(t, "GET /Auth/Keys\nX-Emby-Token: {M}")
			assert.Equal(t, 200, res.StatusCode)
			assert.Equal(t, "*", res.Header.Get("Access-Control-Allow-Origin"))
			res = raw(t, "GET /Auth/Keys")
			assert.Equal(t, 401, res.StatusCode, "no key")
			assert.Equal(t, test.refusal, res.Header.Get("Access-Control-Allow-Origin"))
		})
	}
	t.Run("Keys does not allow OPTIONS", func(t *testing.T) {
		t.Parallel()
		s := newService(t, apikey.Options{AllowPreflight: true})
		raw := s.listen(t, s.auth.Handler(newKeys(t, s.issuer)))
		assert.Equal(t, 405, raw(t, "OPTIONS /Auth/Keys"+preflight).StatusCode)
	})
	t.Run("OPTIONS that is not a preflight needs a key", func(t *testing.T) {
		t.Parallel()
		s := newService(t, apikey.Options{AllowPreflight: true})
		raw := s.listen(t, s.auth.Handler(cors(s.mux)))
		assert.Equal(t, 401, raw(t, "OPTIONS /System/Info").StatusCode)
	})
}
