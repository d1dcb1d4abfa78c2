package forwardauth_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey"
)

func TestAFieldThatServicesTakeForAnotherIsRefused(t *testing.T) {
	inEachDialect(t, func(t *testing.T, d dialect, s *service) {
		key, _ := s.issue(t, apikey.NewKey{Name: "Backup job"})
		for line, want := range map[string]string{
			"X_Apikey_Id: admin":             "400",
			"x-apikey_scopes: admin":         "400",
			"X.Apikey.Owner: admin":          "400",
			"X_Http_Method_Override: DELETE": "400",
			"X-HTTP_Method: DELETE":          "400",
			"X_Forwarded_For: 10.0.0.1":      "400",
			"X_Original_URL: /admin":         "400",
			"X_Rewrite_URL: /admin":          "400",
			"X_Real_IP: 10.0.0.1":            "400",
			"X_HTTP_Host_Override: staff":    "400",
			"X_Host: staff.example.com":      "400",
			"X_Request_Id: 1":                "200",
			"X-Apikey-Id: replaced-by-proxy": "200",
			"X-Real-IP: 203.0.113.9":         "200",
		} {
			r := with(d.ask("GET", "/library"), "X-API-Key: "+key, line)
			assert.Equal(t, want, status(s.answer(r)), line)
		}
	})
}

func TestAnUpgradeAfterWhichTheProxyIsBlindIsRefused(t *testing.T) {
	inEachDialect(t, func(t *testing.T, d dialect, s *service) {
		key, _ := s.issue(t, apikey.NewKey{Name: "Backup job"})
		for line, want := range map[string]string{
			"Upgrade: h2c":            "400",
			"Upgrade: websocket, H2C": "400",
			"Upgrade: websocket":      "200",
		} {
			r := with(d.ask("GET", "/library"), "X-API-Key: "+key, line)
			assert.Equal(t, want, status(s.answer(r)), line)
		}
	})
}
