package leak_test

import (
	"context"
	"encoding/json"
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

func TestVerifyTellsWhetherAKeyIsLive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, apikey.FormatOptions{})
		h, err := leak.Verify(s.desk, s.options())
		require.NoError(t, err)
		ctx := context.Background()
		live, _ := s.issue("live")
		revoked, key := s.issue("revoked")
		_, err = s.store.Revoke(ctx, key.ID)
		require.NoError(t, err)
		suspended, key := s.issue("suspended")
		_, err = s.store.Update(ctx, key.ID, apikey.Patch{Suspended: new(true)})
		require.NoError(t, err)
		secret, _, err := s.issuer.Issue(ctx, apikey.NewKey{Name: "expired", ExpiresAt: time.Now().Add(time.Hour)})
		require.NoError(t, err)
		time.Sleep(time.Hour)
		unknown, _ := newService(t, apikey.FormatOptions{}).issue("of another service")
		ask := func(token string) *httptest.ResponseRecorder {
			body, err := json.Marshal(map[string]any{"ak-api-key": map[string]any{"key": []string{"=" + token, token}}})
			require.NoError(t, err)
			return serve(h, httptest.NewRequest("POST", "/", strings.NewReader(string(body))))
		}
		assert.Equal(t, 200, ask(live).Code)
		refusal := ask(unknown).Body.String()
		for name, token := range map[string]string{"revoked": revoked, "suspended": suspended, "expired": secret.Reveal(), "malformed": live[1:]} {
			w := ask(token)
			assert.Equal(t, 401, w.Code, name)
			assert.Equal(t, refusal, w.Body.String(), name)
		}
		before := s.store.lookups.Load()
		ask(live[1:])
		assert.Equal(t, before, s.store.lookups.Load(), "a malformed key costs no lookup")
		s.store.failLookup = func() error { return errDown }
		assert.Equal(t, 503, ask(live).Code)
		assert.NotContains(t, s.log.String(), live)
		page, err := s.store.Audit(ctx, apikey.AuditOptions{})
		require.NoError(t, err)
		assert.Len(t, page.Entries, 6, "Verify changes nothing")
	})
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.FormatOptions{})
	h, err := leak.Verify(s.desk, leak.Options{})
	require.NoError(t, err)
	for body, status := range map[string]int{
		`{"d":{"key":["x"]}}`:               401,
		`{"d":{"key":["x"]},"e":{}}`:        400,
		`{"d":{"key":["x"],"other":["y"]}}`: 400,
		`{"d":{"key":[]}}`:                  400,
		`{"d":{"key":[""]}}`:                400,
		`{"d":{"key":"x"}}`:                 400,
		`{"d":{}}`:                          400,
		`{}`:                                400,
		`[]`:                                400,
		``:                                  400,
		`{"d":{"key":["` + strings.Repeat("x", 8<<10) + `"]}}`: 400,
	} {
		assert.Equal(t, status, serve(h, httptest.NewRequest("POST", "/", strings.NewReader(body))).Code, "%.40s", body)
	}
	assert.Equal(t, 405, serve(h, httptest.NewRequest("GET", "/", nil)).Code)
	_, err = leak.Verify(nil, leak.Options{})
	require.ErrorIs(t, err, apikey.ErrInvalid)
}

func TestVerifyHandles32RequestsAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, apikey.FormatOptions{})
		h, err := leak.Verify(s.desk, s.options())
		require.NoError(t, err)
		token, _ := s.issue("x")
		s.store.failLookup = func() error { time.Sleep(time.Second); return nil }
		ask := func() int {
			return serve(h, httptest.NewRequest("POST", "/", strings.NewReader(`{"d":{"key":["`+token+`"]}}`))).Code
		}
		statuses := make(chan int, 32)
		for range 32 {
			go func() { statuses <- ask() }()
		}
		synctest.Wait()
		assert.Equal(t, 503, ask())
		for range 32 {
			assert.Equal(t, 200, <-statuses)
		}
	})
}

func TestSlowRequestsDoNotKeepVerifyFromOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, apikey.FormatOptions{})
		h, err := leak.Verify(s.desk, s.options())
		require.NoError(t, err)
		end := make(chan struct{})
		for range 40 {
			go serve(h, httptest.NewRequest("POST", "/", endOf(end)))
		}
		synctest.Wait()
		token, _ := s.issue("x")
		assert.Equal(t, 200, serve(h, httptest.NewRequest("POST", "/", strings.NewReader(`{"d":{"key":["`+token+`"]}}`))).Code)
		close(end)
	})
}
