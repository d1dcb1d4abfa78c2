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

func TestPermissionNamesTheCallerAndRemovesTheKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t, loopback)
	key, issued := f.issue(t, apikey.NewKey{Name: "Café", Scopes: []string{"a", "b"}})
	for name, test := range map[string]struct {
		check      *authv3.CheckRequest
		headers    []string // removed beside x-apikey-owner, which is empty
		parameters []string
		others     map[string]string
	}{
		"in the header":     {check("GET", "/library?a=b", "x-api-key: "+key, "accept: */*"), []string{"x-api-key"}, nil, nil},
		"by Bearer":         {check("GET", "/library", "authorization: Bearer "+key), []string{"authorization"}, nil, nil},
		"in the query":      {check("GET", "/library?api_key="+key+"&a=b"), nil, []string{"api_key"}, nil},
		"another case":      {check("GET", "/library?a=b&API_Key="+key), nil, []string{"API_Key"}, nil},
		"an escaped name":   {check("GET", "/library?api%5Fkey="+key), nil, []string{"api%5Fkey", "api_key"}, nil},
		"in both":           {check("GET", "/library?api_key="+key, "x-emby-token: "+key), []string{"x-emby-token"}, []string{"api_key"}, nil},
		"twice in a query":  {check("GET", "/library?api_key="+key+"&api_key="+key), nil, []string{"api_key", "api_key"}, nil},
		"in other places":   {check("GET", "/library?x="+key, "x-api-key: "+key, "cookie: a=b; c="+key), []string{"x-api-key"}, []string{"x"}, map[string]string{"cookie": "a=b; c=REDACTED"}},
		"beside forged IDs": {check("GET", "/library", "x-api-key: "+key, "x-apikey-id: forged", "x-apikey-owner: forged"), []string{"x-api-key"}, nil, nil},
		"as a forged name":  {check("GET", "/library", "x-api-key: "+key, "x-apikey-name: "+key, "x-apikey-owner: "+key), []string{"x-api-key"}, nil, nil},
		"with odd names":    {check("GET", "/library?%ff="+key, "x-api-key: "+key), []string{"x-api-key"}, []string{"%ff"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := f.ask(t, test.check)
			require.Equal(t, 200, status(t, res))
			ok := res.GetOkResponse()
			want := map[string]string{"x-apikey-id": issued.ID, "x-apikey-name": "Caf%C3%A9", "x-apikey-scopes": "a b"}
			for name, value := range test.others {
				want[name] = value
			}
			assert.Equal(t, want, fields(t, ok.GetHeaders()))
			assert.Len(t, ok.GetHeaders(), len(want), "one change for each field")
			assert.ElementsMatch(t, append([]string{"x-apikey-owner"}, test.headers...), ok.GetHeadersToRemove())
			assert.ElementsMatch(t, test.parameters, ok.GetQueryParametersToRemove())
		})
	}
}

func TestRequestsAreRefusedWithTheStatusOfTheRules(t *testing.T) {
	t.Parallel()
	f := newFixture(t, loopback)
	key, _ := f.issue(t, apikey.NewKey{Name: "Backup job"})
	other, _ := f.issue(t, apikey.NewKey{Name: "Other job"})
	const header = "x-api-key: "
	for name, test := range map[string]struct {
		status int
		check  *authv3.CheckRequest
	}{
		"no key":                             {401, check("GET", "/library")},
		"a wrong key":                        {401, check("GET", "/library", header+key+"x")},
		"two keys that Envoy joined":         {401, check("GET", "/library", header+key, header+other)},
		"two keys, one in the query":         {400, check("GET", "/library?api_key="+other, header+key)},
		"a path that needs a scope":          {403, check("GET", "/admin/users", header+key)},
		"an escaped letter in such a path":   {403, check("GET", "/%61dmin/users", header+key)},
		"a method that needs a scope":        {403, check("DELETE", "/library", header+key)},
		"dot segments":                       {400, check("GET", "/library/%2e%2e/admin/users", header+key)},
		"a fragment":                         {400, check("GET", "/library#/admin", header+key)},
		"a contradiction":                    {400, check("GET", "/library", header+key, "x-original-uri: /admin/")},
		"a method in lower case":             {400, check("delete", "/library", header+key)},
		"a redirect":                         {307, check("GET", "/admin", header+key)},
		"a panic":                            {503, check("GET", "/panic", header+key)},
		"a handler that writes nothing":      {403, check("GET", "/silent", header+key)},
		"a success other than 200":           {403, check("GET", "/created", header+key)},
		"no path":                            {503, check("GET", "", header+key)},
		"no request":                         {400, &authv3.CheckRequest{}},
		"a status that Envoy does not know":  {403, check("GET", "/odd", header+key)},
		"headers in both forms at one time":  {400, bothForms(header + key)},
		"a line break in a field":            {400, rawForm("x-api-key", key, "cookie", "a\r\nb")},
		"a name that is not ASCII":           {400, rawForm("x-api-key", key, "x-\u00e9", "a")},
		"a field without a name":             {400, rawForm("x-api-key", key, "", "a")},
		"two keys in two lines of a raw map": {400, rawForm("x-api-key", key, "x-api-key", other)},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.status, status(t, f.ask(t, test.check)))
		})
	}
	f.failing.Store(true)
	res := f.ask(t, check("GET", "/library", header+key))
	assert.Equal(t, 503, status(t, res), "an outage")
	assert.Equal(t, "1", fields(t, res.GetDeniedResponse().GetHeaders())["retry-after"])
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

func TestKeysAreRemovedFromRawHeaders(t *testing.T) {
	t.Parallel()
	f := newFixture(t, loopback)
	key, _ := f.issue(t, apikey.NewKey{Name: "Backup job"})
	res := f.ask(t, rawForm("x-api-key", key, "cookie", "a=\xff"+key, "cookie", "b=c"))
	require.Equal(t, 200, status(t, res))
	assert.Contains(t, res.GetOkResponse().GetHeadersToRemove(), "x-api-key")
	assert.Equal(t, "a=?REDACTED; b=c", fields(t, res.GetOkResponse().GetHeaders())["cookie"])
}

func TestRefusalHasTheResponseOfTheMiddleware(t *testing.T) {
	t.Parallel()
	f := newFixture(t, loopback)
	res := f.ask(t, check("GET", "/library")).GetDeniedResponse()
	header := fields(t, res.GetHeaders())
	assert.Equal(t, "application/problem+json", header["content-type"])
	assert.Equal(t, "no-store", header["cache-control"])
	assert.Equal(t, `ApiKey realm="shop", Bearer realm="shop"`, header["www-authenticate"])
	assert.JSONEq(t, `{"type":"about:blank","title":"Unauthorized","status":401,"detail":"A valid API key is required."}`, res.GetBody())

	key, _ := f.issue(t, apikey.NewKey{Name: "Backup job"})
	res = f.ask(t, check("GET", "/odd", "x-api-key: "+key)).GetDeniedResponse()
	assert.Equal(t, "a  b?", fields(t, res.GetHeaders())["x-odd"])
	assert.Equal(t, 64<<10, len(res.GetBody()), "bytes of the body")
}

func TestKeysWithNetworksAreBoundToTheSource(t *testing.T) {
	t.Parallel()
	f := newFixture(t, loopback)
	network := func(s string) string {
		key, _ := f.issue(t, apikey.NewKey{Name: s, Networks: []netip.Prefix{netip.MustParsePrefix(s)}})
		return "x-api-key: " + key
	}
	assert.Equal(t, 200, status(t, f.ask(t, check("GET", "/library", network("203.0.113.0/24")))))
	forged := check("GET", "/library", network("198.51.100.0/24"), "x-forwarded-for: 198.51.100.1")
	assert.Equal(t, 403, status(t, f.ask(t, forged)), "a forged X-Forwarded-For")
	noAddress := check("GET", "/library", network("203.0.113.0/24"))
	noAddress.Attributes.Source = nil
	assert.Equal(t, 403, status(t, f.ask(t, noAddress)), "a client without an address")
}

func TestOnlyTrustedPeersAreAnswered(t *testing.T) {
	t.Parallel()
	f := newFixture(t, []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")})
	key, _ := f.issue(t, apikey.NewKey{Name: "Backup job"})
	assert.Equal(t, 403, status(t, f.ask(t, check("GET", "/library", "x-api-key: "+key))))
}

func TestNewRefusesOptions(t *testing.T) {
	t.Parallel()
	auth, err := apikey.New(memstore.New(), apikey.Options{})
	require.NoError(t, err)
	for field, test := range map[string]struct {
		next    http.Handler
		options envoy.Options
	}{
		"Auth":    {forwardauth.Allow(), envoy.Options{Trusted: loopback}},
		"Trusted": {forwardauth.Allow(), envoy.Options{Auth: auth}},
		"next":    {nil, envoy.Options{Auth: auth, Trusted: loopback}},
	} {
		_, err := envoy.New(test.next, test.options)
		var invalid *apikey.InvalidError
		require.ErrorAs(t, err, &invalid, field)
		assert.Equal(t, field, invalid.Field)
	}
}
