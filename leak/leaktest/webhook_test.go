package leaktest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/leak"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestWebhookVerifiesMessagesOfTheReferenceImplementation(t *testing.T) {
	store := memstore.New()
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	desk, err := manage.New(issuer)
	require.NoError(t, err)
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 32)))
	h, err := leak.Webhook(desk, "scanner", []apikey.Secret{apikey.NewSecret(secret)}, leak.Options{})
	require.NoError(t, err)
	token, key, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "x"})
	require.NoError(t, err)

	signer, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	body, at := `[{"token":"`+token.Reveal()+`"}]`, time.Now()
	signature, err := signer.Sign("msg_1", at, []byte(body))
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("webhook-id", "msg_1")
	r.Header.Set("webhook-timestamp", fmt.Sprint(at.Unix()))
	r.Header.Set("webhook-signature", signature)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, 200, w.Code, w.Body)
	key, err = store.Get(t.Context(), key.ID)
	require.NoError(t, err)
	assert.False(t, key.RevokedAt.IsZero())
}
