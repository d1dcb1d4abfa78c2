// Command mcp is a server of the Model Context Protocol whose tools know the key of each call. A
// session spans many requests, and each request has its own key. The SDK runs tools in the context
// of the first request of the session, so this server passes the identity in a TokenInfo.
package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/demo"
)

func main() {
	demo.ServeOn(options, func(listener net.Listener, keys *apikey.Middleware) error {
		server := &http.Server{Handler: newService(keys, 5*time.Second), ReadHeaderTimeout: 10 * time.Second}
		return server.Serve(listener)
	}, demo.Caller{Key: apikey.NewKey{Name: "Reading room", Scopes: []string{"library:read"}}, Command: beginSession})
}

// beginSession is the first request of a client.
const beginSession = `curl -H 'Authorization: Bearer KEY' -H 'Content-Type: application/json' ` +
	`-H 'Accept: application/json, text/event-stream' ` +
	`-d '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",` +
	`"capabilities":{},"clientInfo":{"name":"curl","version":"1"}}}' http://ADDR/`

// Clients of the protocol send keys with the scheme Bearer.
var options = apikey.Options{Sources: []apikey.Source{apikey.Bearer()}}

// newService returns the server. A request that stays open checks its key each recheck.
func newService(keys *apikey.Middleware, recheck time.Duration) http.Handler {
	server := mcp.NewServer(&mcp.Implementation{Name: "library", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "whoami", Description: "Returns the name of the calling key."}, whoami)
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)
	return keys.Handler(untilInvalid(keys, recheck, withIdentity(handler)))
}

// untilInvalid ends a request when its key becomes invalid or the store fails. The SDK sends messages
// of the server on a GET request that stays open.
func untilInvalid(keys *apikey.Middleware, recheck time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		go func() {
			checking := time.NewTicker(recheck)
			defer checking.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-checking.C:
					if _, err := keys.Check(r); err != nil {
						cancel()
						return
					}
				}
			}
		}()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// identity is the name of the key in TokenInfo.Extra.
const identity = "apikey"

// withIdentity passes the key of each request to the SDK, which passes it to tools with each call. It
// runs after the middleware, which has verified the key.
func withIdentity(next http.Handler) http.Handler {
	describe := func(ctx context.Context, _ string, _ *http.Request) (*auth.TokenInfo, error) {
		key, ok := apikey.FromContext(ctx)
		if !ok {
			return nil, auth.ErrInvalidToken
		}
		// The SDK refuses requests of another user in a session. Keys of one owner, such as
		// an old key and its successor, therefore share sessions. A key without an owner
		// has its own sessions.
		user := "owner " + key.Owner
		if key.Owner == "" {
			user = "key " + key.ID
		}
		return &auth.TokenInfo{UserID: user, Scopes: key.Scopes, Expiration: key.ExpiresAt, Extra: map[string]any{identity: key}}, nil
	}
	return auth.RequireBearerToken(describe, &auth.RequireBearerTokenOptions{AllowMissingExpiration: true})(next)
}

// caller returns the key of a call. Do not use apikey.FromContext in a tool.
func caller(r *mcp.CallToolRequest) (apikey.Key, bool) {
	if r.Extra == nil || r.Extra.TokenInfo == nil {
		return apikey.Key{}, false
	}
	key, ok := r.Extra.TokenInfo.Extra[identity].(apikey.Key)
	return key, ok
}

func whoami(_ context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
	key, ok := caller(r)
	if !ok || !key.HasScopes("library:read") {
		return nil, nil, errors.New("this tool needs a key with the scope library:read")
	}
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: key.Name}}}, nil, nil
}
