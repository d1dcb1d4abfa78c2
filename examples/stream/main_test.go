package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/program"
	"github.com/latchkey-dev/apikey/memstore"
)

// A failingStore fails while failing is true.
type failingStore struct {
	*memstore.Store
	failing atomic.Bool
}

func (s *failingStore) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	if s.failing.Load() {
		return nil, errors.New("the database is down")
	}
	return s.Store.Lookup(ctx, d)
}

func newAuth(t *testing.T) (*failingStore, *apikey.Middleware, string, apikey.Key) {
	t.Helper()
	store := &failingStore{Store: memstore.New()}
	auth, err := apikey.New(store, apikey.Options{})
	require.NoError(t, err)
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	secret, key, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job"})
	require.NoError(t, err)
	return store, auth, secret.Reveal(), key
}

// A counter is a ResponseWriter that counts events.
type counter struct {
	*httptest.ResponseRecorder
	events atomic.Int64
}

func (c *counter) Write(b []byte) (int, error) {
	c.events.Add(int64(strings.Count(string(b), "data: tick\n\n")))
	return len(b), nil
}

const interval, recheck = time.Second, 5 * time.Second

func TestStreamsEndWithTheirKey(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		end  func(store *failingStore, id string, leave func())
		late time.Duration // maximum delay of the end
	}{
		{"a revoked key ends the stream at the next check",
			func(s *failingStore, id string, _ func()) { s.Revoke(context.Background(), id) }, recheck},
		{"a failing store ends the stream at the next check",
			func(s *failingStore, _ string, _ func()) { s.failing.Store(true) }, recheck},
		{"a client that disconnects ends the stream at once",
			func(_ *failingStore, _ string, leave func()) { leave() }, 0},
	} {
		for where, request := range map[string]func(key string) *http.Request{
			"header": func(key string) *http.Request {
				r := httptest.NewRequest("GET", "/library", nil)
				r.Header.Set("X-API-Key", key)
				return r
			},
			"query": func(key string) *http.Request { return httptest.NewRequest("GET", "/library?api_key="+key, nil) },
		} {
			t.Run(test.name+", key in the "+where, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					store, auth, secret, key := newAuth(t)
					ctx, leave := context.WithCancel(t.Context())
					defer leave()
					w := &counter{ResponseRecorder: httptest.NewRecorder()}
					ended := make(chan time.Time, 1)
					go func() {
						newService(auth, interval, recheck).ServeHTTP(w, request(secret).WithContext(ctx))
						ended <- time.Now()
					}()
					time.Sleep(2*recheck + interval/2)
					synctest.Wait()
					select {
					case <-ended:
						t.Fatal("the stream of a valid key ended")
					default:
					}
					assert.EqualValues(t, 10, w.events.Load())
					begin := time.Now()
					test.end(store, key.ID, leave)
					assert.LessOrEqual(t, (<-ended).Sub(begin), test.late)
				})
			})
		}
	}
}

func TestRevokedKeyClosesTheSocket(t *testing.T) {
	t.Parallel()
	store, auth, secret, key := newAuth(t)
	server := httptest.NewServer(newService(auth, time.Millisecond, 10*time.Millisecond))
	t.Cleanup(server.Close)
	_, res, err := websocket.Dial(t.Context(), server.URL+"/library/socket", nil)
	require.Error(t, err)
	assert.Equal(t, http.StatusUnauthorized, res.StatusCode)

	conn, _, err := websocket.Dial(t.Context(), server.URL+"/library/socket", &websocket.DialOptions{HTTPHeader: http.Header{"X-Api-Key": {secret}}})
	require.NoError(t, err)
	defer conn.CloseNow()
	_, message, err := conn.Read(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "tick", string(message))
	_, err = store.Revoke(t.Context(), key.ID)
	require.NoError(t, err)
	for err == nil {
		_, _, err = conn.Read(t.Context())
	}
	assert.Equal(t, websocket.StatusPolicyViolation, websocket.CloseStatus(err))
}

func TestPrintedCommandReceivesEvents(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		program.Skip(t, "curl is not installed")
	}
	p := program.Start(t, "-addr", "localhost:0")
	client := program.Command(t, exec.Command("sh", "-c", "exec "+p.Line("curl ")))
	assert.NotEmpty(t, client.Line("data: "))
	assert.NotEmpty(t, client.Line("data: "), "the stream continues")
}
