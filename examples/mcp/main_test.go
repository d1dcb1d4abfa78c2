package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/program"
	"github.com/latchkey-dev/apikey/memstore"
)

// A service is a running server with a client that changes its key during a session.
type service struct {
	store   *memstore.Store
	issuer  *apikey.Issuer
	url     string
	session *mcp.ClientSession
	key     atomic.Value // secret that the client sends
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+s.key.Load().(string))
	return http.DefaultTransport.RoundTrip(r)
}

// newSession starts a session with the key first.
func newSession(t *testing.T, newService func(*apikey.Middleware) http.Handler, first apikey.NewKey) (*service, apikey.Key) {
	t.Helper()
	s := &service{store: memstore.New()}
	auth, err := apikey.New(s.store, options)
	require.NoError(t, err)
	s.issuer, err = apikey.NewIssuer(s.store, apikey.IssuerOptions{})
	require.NoError(t, err)
	server := httptest.NewServer(newService(auth))
	t.Cleanup(server.Close)
	s.url = server.URL
	key := s.use(t, first)
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	s.session, err = client.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: server.URL, HTTPClient: &http.Client{Transport: s}, MaxRetries: -1, DisableStandaloneSSE: true,
	}, nil)
	require.NoError(t, err)
	t.Cleanup(func() { s.session.Close() })
	require.NotEmpty(t, s.session.ID(), "the session has no ID")
	return s, key
}

// use issues a key, which the client sends in its next requests.
func (s *service) use(t *testing.T, k apikey.NewKey) apikey.Key {
	t.Helper()
	secret, key, err := s.issuer.Issue(t.Context(), k)
	require.NoError(t, err)
	s.key.Store(secret.Reveal())
	return key
}

func (s *service) whoami(t *testing.T) (string, bool, error) {
	t.Helper()
	result, err := s.session.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"})
	if err != nil {
		return "", false, err
	}
	return result.Content[0].(*mcp.TextContent).Text, !result.IsError, nil
}

// quick returns the server with short intervals between checks.
func quick(auth *apikey.Middleware) http.Handler { return newService(auth, time.Millisecond) }

var (
	old     = apikey.NewKey{Name: "Old key", Owner: "alice", Scopes: []string{"library:read"}}
	second  = apikey.NewKey{Name: "Second key", Owner: "alice", Scopes: []string{"library:read"}}
	noScope = apikey.NewKey{Name: "Key without scopes", Owner: "alice"}
	other   = apikey.NewKey{Name: "Other key", Owner: "bob", Scopes: []string{"library:read"}}
)

func TestEachCallHasItsOwnKey(t *testing.T) {
	t.Parallel()
	s, _ := newSession(t, quick, old)
	name, ok, err := s.whoami(t)
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, "Old key", name)

	s.use(t, second)
	name, ok, err = s.whoami(t)
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, "Second key", name, "the key of the call, not of the session")

	s.use(t, noScope)
	_, ok, err = s.whoami(t)
	require.NoError(t, err)
	assert.False(t, ok, "the key of the call has no scope")
}

func TestSessionBelongsToItsOwner(t *testing.T) {
	t.Parallel()
	s, _ := newSession(t, quick, old)
	s.use(t, other)
	_, _, err := s.whoami(t)
	assert.ErrorContains(t, err, "Forbidden")
}

func TestRevokedKeyIsRefusedWithinASession(t *testing.T) {
	t.Parallel()
	s, key := newSession(t, quick, old)
	_, err := s.store.Revoke(t.Context(), key.ID)
	require.NoError(t, err)
	_, _, err = s.whoami(t)
	assert.ErrorContains(t, err, "Unauthorized")
}

// The SDK keeps a GET request open, on which the server sends messages.
func TestRevokedKeyReceivesNoMoreMessages(t *testing.T) {
	t.Parallel()
	s, key := newSession(t, quick, old)
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url, nil)
	require.NoError(t, err)
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Mcp-Session-Id", s.session.ID())
	messages, err := (&http.Client{Transport: s}).Do(r)
	require.NoError(t, err)
	defer messages.Body.Close()
	require.Equal(t, http.StatusOK, messages.StatusCode)
	_, err = s.store.Revoke(t.Context(), key.ID)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, messages.Body)
		ended <- err
	}()
	select {
	case err := <-ended:
		assert.NoError(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("the request is still open")
	}
}

// TestToolContextIsOfTheFirstRequest states the reason for withIdentity.
func TestToolContextIsOfTheFirstRequest(t *testing.T) {
	t.Parallel()
	s, _ := newSession(t, func(auth *apikey.Middleware) http.Handler {
		server := mcp.NewServer(&mcp.Implementation{Name: "library", Version: "1"}, nil)
		mcp.AddTool(server, &mcp.Tool{Name: "whoami"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			key, _ := apikey.FromContext(ctx)
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: key.Name}}}, nil, nil
		})
		return auth.Handler(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil))
	}, old)
	s.use(t, other)
	name, _, err := s.whoami(t)
	require.NoError(t, err)
	assert.Equal(t, "Old key", name)
}

func TestPrintedCommandBeginsASession(t *testing.T) {
	t.Parallel()
	p := program.Start(t, "-addr", "localhost:0")
	assert.Contains(t, program.Curl(t, p.Line("curl ")), `"serverInfo":{"name":"library","version":"1"}`)
}
