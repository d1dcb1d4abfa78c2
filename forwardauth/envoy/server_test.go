package envoy_test

import (
	"net/http"
	"net/netip"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/forwardauth"
	"github.com/latchkey-dev/apikey/forwardauth/envoy"
	"github.com/latchkey-dev/apikey/memstore"
)

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
