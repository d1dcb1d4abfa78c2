package apikey_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestRefuseOfOtherMiddleware(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	secret, key, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job"})
	require.NoError(t, err)
	limited := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, key.ID, apikey.SharedKey(r.Context()).ID)
		apikey.Refuse(w, r, &apikey.LimitedError{Limits: []string{"rate"}, RetryAfter: 1500 * time.Millisecond})
	})
	var outcomes []string
	auth, err := apikey.New(store, apikey.Options{Observe: func(_ context.Context, e apikey.Event) { outcomes = append(outcomes, e.Outcome()+" "+e.Key.ID) }})
	require.NoError(t, err)
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-API-Key", secret.Reveal())
	auth.Handler(limited).ServeHTTP(w, r)

	assert.Equal(t, http.StatusTooManyRequests, w.Code)
	assert.Equal(t, "2", w.Header().Get("Retry-After"), "rounded up")
	assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	assert.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	var body map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
	assert.Equal(t, "https://iana.org/assignments/http-problem-types#quota-exceeded", body["type"])
	assert.Equal(t, []any{"rate"}, body["violated-policies"])
	assert.Equal(t, []string{"accepted " + key.ID, "limited " + key.ID}, outcomes)

	t.Run("a request that can never succeed has no Retry-After", func(t *testing.T) {
		w := httptest.NewRecorder()
		apikey.Refuse(w, httptest.NewRequest("GET", "/", nil), &apikey.LimitedError{Limits: []string{"rate"}})
		assert.Equal(t, http.StatusTooManyRequests, w.Code)
		assert.Empty(t, w.Header()["Retry-After"])
	})
	t.Run("a context without a key has no shared key", func(t *testing.T) {
		assert.Nil(t, apikey.SharedKey(t.Context()))
	})
}
