package leak_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/leak"
)

// webhookSecret returns a secret of n bytes.
func webhookSecret(c string, n int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(c, n)))
}

// signature computes a signature without the code of the package.
func signature(t testing.TB, secret, id, at, body string) string {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	require.NoError(t, err)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func message(id, at, signature, body string) *http.Request {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("webhook-id", id)
	r.Header.Set("webhook-timestamp", at)
	r.Header.Set("webhook-signature", signature)
	return r
}

func (s *service) webhook(secrets ...string) http.Handler {
	s.t.Helper()
	var all []apikey.Secret
	for _, one := range secrets {
		all = append(all, apikey.NewSecret(one))
	}
	h, err := leak.Webhook(s.desk, "nightly scan", all, s.options())
	require.NoError(s.t, err)
	return h
}

func TestWebhookRevokesAReportedKey(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.FormatOptions{})
	secret := webhookSecret("a", 32)
	h := s.webhook(secret)
	token, key := s.issue("x")
	body, at := arrayOf(t, object{"token": token, "type": "ak-api-key"}), fmt.Sprint(time.Now().Unix())
	for range 2 { // a replay within the tolerance
		w := serve(h, message("msg_1", at, signature(t, secret, "msg_1", at, body), body))
		require.Equal(t, 200, w.Code, w.Body)
		assert.Equal(t, map[string]string{"ak-api-key": "true_positive"}, labels(t, w))
	}
	assert.Equal(t, []string{"create by ", "revoke by nightly scan"}, s.history(key.ID))
	require.Len(t, s.reports, 2)
	assert.Equal(t, "nightly scan", s.reports[0].Reporter)
}

// The secret, the message and its signature come from the test suites of Standard Webhooks.
func TestWebhookVerifiesASignatureOfStandardWebhooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Unix(1614265330, 0)))
		h := newService(t, apikey.FormatOptions{}).webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
		const right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
		send := func(signature string) int {
			return serve(h, message("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", signature, `{"test": 2432232314}`)).Code
		}
		assert.Equal(t, 400, send(right), "the signature is right, and the body is not an array")
		assert.Equal(t, 403, send(strings.Replace(right, "g0", "g1", 1)))
	})
}

func TestWebhookRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Unix(1_800_000_000, 0)))
		const now, body = "1800000000", `[]`
		old, current := webhookSecret("a", 24), webhookSecret("b", 64)
		h := newService(t, apikey.FormatOptions{}).webhook(current, old)
		sign := func(at string) string { return signature(t, current, "m", at, body) }
		for _, test := range []struct {
			name, id, at, signature string
			status                  int
		}{
			{"a right signature is accepted", "m", now, sign(now), 200},
			{"a signature by an older secret is accepted", "m", now, signature(t, old, "m", now, body), 200},
			{"other signatures are ignored", "m", now, "v1a,x v1,eA== " + signature(t, webhookSecret("c", 24), "m", now, body) + " " + sign(now), 200},
			{"a clock that is 5 minutes behind is accepted", "m", "1799999700", sign("1799999700"), 200},
			{"a clock that is 5 minutes ahead is accepted", "m", "1800000300", sign("1800000300"), 200},
			{"an older message", "m", "1799999699", sign("1799999699"), 403},
			{"a message of the future", "m", "1800000301", sign("1800000301"), 403},
			{"another timestamp than the signed one", "m", "1800000001", sign(now), 403},
			{"another ID than the signed one", "n", now, sign(now), 403},
			{"a signature by another secret", "m", now, signature(t, webhookSecret("c", 24), "m", now, body), 403},
			{"another version", "m", now, strings.Replace(sign(now), "v1,", "v1a,", 1), 403},
			{"no signature", "m", now, "", 403},
			{"a shortened signature", "m", now, sign(now)[:20], 403},
			{"no ID", "", now, signature(t, current, "", now, body), 403},
			{"an ID with a full stop", "m.n", now, signature(t, current, "m.n", now, body), 403},
			{"an ID with a space", "m n", now, signature(t, current, "m n", now, body), 403},
			{"a long ID", strings.Repeat("m", 256), now, signature(t, current, strings.Repeat("m", 256), now, body), 403},
			{"a signed timestamp", "m", "+" + now, sign("+" + now), 403},
			{"a timestamp with a fraction", "m", now + ".5", sign(now + ".5"), 403},
			{"no timestamp", "m", "", sign(""), 403},
			{"a long timestamp", "m", strings.Repeat("0", 20) + now, sign(strings.Repeat("0", 20) + now), 403},
			{"more than 16 signatures", "m", now, strings.Repeat(signature(t, old, "x", now, body)+" ", 16) + sign(now), 403},
		} {
			assert.Equal(t, test.status, serve(h, message(test.id, test.at, test.signature, body)).Code, test.name)
		}
		r := message("m", now, sign(now), body)
		r.Header.Add("webhook-signature", sign(now))
		assert.Equal(t, 403, serve(h, r).Code, "two header lines")
		assert.Equal(t, 403, serve(h, message("m", now, sign(now), `[1]`)).Code, "another body")
	})
}

func TestWebhookConstructorRefuses(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.FormatOptions{})
	good := apikey.NewSecret(webhookSecret("a", 24))
	for _, test := range []struct {
		name, field, scanner string
		secrets              []apikey.Secret
	}{
		{"no secret", "secrets", "x", nil},
		{"five secrets", "secrets", "x", []apikey.Secret{good, good, good, good, good}},
		{"a short secret", "secrets[1]", "x", []apikey.Secret{good, apikey.NewSecret(webhookSecret("canary", 3))}},
		{"a long secret", "secrets[0]", "x", []apikey.Secret{apikey.NewSecret(webhookSecret("a", 65))}},
		{"a secret without whsec_", "secrets[0]", "x", []apikey.Secret{apikey.NewSecret(webhookSecret("a", 24)[6:])}},
		{"a secret that is not base64", "secrets[0]", "x", []apikey.Secret{apikey.NewSecret("whsec_" + strings.Repeat("!", 40))}},
		{"the zero Secret", "secrets[0]", "x", []apikey.Secret{{}}},
		{"no name", "Actor", "", []apikey.Secret{good}},
	} {
		_, err := leak.Webhook(s.desk, test.scanner, test.secrets, leak.Options{})
		var wrong *apikey.InvalidError
		require.ErrorAs(t, err, &wrong, test.name)
		assert.Equal(t, test.field, wrong.Field, test.name)
		assert.NotContains(t, err.Error(), "Y2FuYXJ5", test.name)
	}
}
