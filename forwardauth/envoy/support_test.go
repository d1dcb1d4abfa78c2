package envoy_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/forwardauth"
	"github.com/latchkey-dev/apikey/forwardauth/envoy"
	"github.com/latchkey-dev/apikey/memstore"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}

// A fixture is a server at a real gRPC connection.
type fixture struct {
	client  authv3.AuthorizationClient
	issuer  *apikey.Issuer
	failing atomic.Bool
}

type failingStore struct {
	apikey.KeyStore
	failing *atomic.Bool
}

func (s failingStore) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	if s.failing.Load() {
		return nil, errors.New("the database is down")
	}
	return s.KeyStore.Lookup(ctx, d)
}

func newFixture(t *testing.T, trusted []netip.Prefix) *fixture {
	t.Helper()
	f := &fixture{}
	quiet := slog.New(slog.DiscardHandler)
	store := memstore.New()
	auth, err := apikey.New(failingStore{store, &f.failing}, apikey.Options{Logger: quiet, Realm: "shop"})
	require.NoError(t, err)
	f.issuer, err = apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	rules := http.NewServeMux()
	rules.Handle("/", forwardauth.Allow())
	rules.Handle("/admin/", apikey.Require("admin")(forwardauth.Allow()))
	rules.Handle("DELETE /library", apikey.Require("delete")(forwardauth.Allow()))
	answer := func(write func(w http.ResponseWriter)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { write(w) })
	}
	rules.Handle("/panic", answer(func(http.ResponseWriter) { panic("a fault") }))
	rules.Handle("/silent", answer(func(http.ResponseWriter) {}))
	rules.Handle("/created", answer(func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }))
	rules.Handle("/odd", answer(func(w http.ResponseWriter) {
		w.Header().Set("X-Odd", "a\r\nb\xff")
		w.WriteHeader(499)
		w.WriteHeader(http.StatusOK)
		io.WriteString(w, "\xff"+strings.Repeat("a", 100<<10))
	}))
	server, err := envoy.New(auth.Handler(rules), envoy.Options{Auth: auth, Trusted: trusted, Logger: quiet})
	require.NoError(t, err)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	grpcServer := grpc.NewServer()
	authv3.RegisterAuthorizationServer(grpcServer, server)
	go grpcServer.Serve(listener)
	t.Cleanup(grpcServer.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	f.client = authv3.NewAuthorizationClient(conn)
	return f
}

func (f *fixture) issue(t *testing.T, k apikey.NewKey) (string, apikey.Key) {
	t.Helper()
	secret, key, err := f.issuer.Issue(t.Context(), k)
	require.NoError(t, err)
	return secret.Reveal(), key
}

// check returns the attributes that Envoy sends for a request of a client at 203.0.113.9.
func check(method, path string, lines ...string) *authv3.CheckRequest {
	headers := map[string]string{":method": method, ":path": path, ":authority": "example.com", "x-forwarded-for": "203.0.113.9"}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		if before, has := headers[name]; has {
			value = before + "," + value // as Envoy joins lines
		}
		headers[name] = value
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{
			SocketAddress: &corev3.SocketAddress{Address: "203.0.113.9", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 4711}},
		}}},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Method: method, Path: path, Host: "example.com", Headers: headers,
		}},
	}}
}

func (f *fixture) ask(t *testing.T, check *authv3.CheckRequest) *authv3.CheckResponse {
	t.Helper()
	res, err := f.client.Check(t.Context(), check)
	require.NoError(t, err, "an error opens the service if failure_mode_allow is set")
	require.Nil(t, res.GetErrorResponse(), "this answer opens the service if failure_mode_allow is set")
	require.NoError(t, res.ValidateAll())
	return res
}

// status returns 200 or the status of a refusal, and checks that the parts of the answer agree.
func status(t *testing.T, res *authv3.CheckResponse) int {
	t.Helper()
	if res.GetStatus().GetCode() == int32(codes.OK) {
		require.NotNil(t, res.GetOkResponse())
		return http.StatusOK
	}
	require.NotNil(t, res.GetDeniedResponse())
	return int(res.GetDeniedResponse().GetStatus().GetCode())
}

func fields(t *testing.T, options []*corev3.HeaderValueOption) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, o := range options {
		assert.Equal(t, corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD, o.GetAppendAction(), o.GetHeader().GetKey())
		all[o.GetHeader().GetKey()] = o.GetHeader().GetValue()
	}
	return all
}

func bothForms(line string) *authv3.CheckRequest {
	c := check("GET", "/library", line)
	c.Attributes.Request.Http.HeaderMap = rawForm("accept", "*/*").Attributes.Request.Http.HeaderMap
	return c
}

// rawForm returns the attributes that Envoy sends with encode_raw_headers.
func rawForm(pairs ...string) *authv3.CheckRequest {
	c := check("GET", "/library")
	h := c.Attributes.Request.Http
	h.Headers, h.HeaderMap = nil, &corev3.HeaderMap{Headers: []*corev3.HeaderValue{{Key: ":path", RawValue: []byte("/library")}}}
	for pair := range slices.Chunk(pairs, 2) {
		h.HeaderMap.Headers = append(h.HeaderMap.Headers, &corev3.HeaderValue{Key: pair[0], RawValue: []byte(pair[1])})
	}
	return c
}
