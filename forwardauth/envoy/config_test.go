package envoy_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"
)

// read parses a configuration as Envoy does, so that unknown fields are errors.
func read(t *testing.T, file string, into proto.Message) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	json, err := yaml.YAMLToJSON(text)
	require.NoError(t, err)
	require.NoError(t, protojson.Unmarshal(json, into))
}

func TestConfigurationOverGRPCIsValidAndFailsClosed(t *testing.T) {
	t.Parallel()
	var bootstrap bootstrapv3.Bootstrap
	read(t, "envoy.yaml", &bootstrap)
	require.NoError(t, bootstrap.ValidateAll())
	var manager hcmv3.HttpConnectionManager
	require.NoError(t, bootstrap.StaticResources.Listeners[0].FilterChains[0].Filters[0].GetTypedConfig().UnmarshalTo(&manager))
	require.NoError(t, manager.ValidateAll())
	var filter extauthzv3.ExtAuthz
	require.NoError(t, manager.HttpFilters[0].GetTypedConfig().UnmarshalTo(&filter))
	require.NoError(t, filter.ValidateAll())
	assert.Equal(t, "auth", filter.GetGrpcService().GetEnvoyGrpc().GetClusterName())
	assert.False(t, filter.GetFailureModeAllow(), "an outage opens the service")
}

func TestConfigurationOverHTTPSendsTheFieldsThatServicesObey(t *testing.T) {
	t.Parallel()
	var named hcmv3.HttpFilter
	read(t, "envoy-http.yaml", &named)
	var filter extauthzv3.ExtAuthz
	require.NoError(t, named.GetTypedConfig().UnmarshalTo(&filter))
	require.NoError(t, filter.ValidateAll())
	assert.Equal(t, "/check", filter.GetHttpService().GetPathPrefix())
	for _, field := range []string{"x-api-key", "x-forwarded-for", "x-http-method-override", "x-method-override", "x-apikey_id", "x_apikey_id", "x_http_method_override", "x.apikey.id", "forwarded"} {
		sent := slices.ContainsFunc(filter.GetAllowedHeaders().GetPatterns(), func(m *matcherv3.StringMatcher) bool {
			return m.GetExact() == field || m.GetPrefix() != "" && strings.HasPrefix(field, m.GetPrefix())
		})
		assert.True(t, sent, "the rules see "+field)
	}
	assert.False(t, filter.GetFailureModeAllow(), "an outage opens the service")
}
