package envoy_test

import (
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/forwardauth"
	"github.com/latchkey-dev/apikey/forwardauth/envoy"
	"github.com/latchkey-dev/apikey/memstore"
)

// FuzzCheck sends attributes with arbitrary text. The answer must be valid and not an error. It must not permit
// a request without the key, nor contain the key.
func FuzzCheck(f *testing.F) {
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(f, err)
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(f, err)
	secret, _, err := issuer.Issue(f.Context(), apikey.NewKey{Name: "Backup job"})
	require.NoError(f, err)
	server, err := envoy.New(auth.Handler(forwardauth.Allow()), envoy.Options{Auth: auth, Trusted: loopback, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(f, err)

	f.Add("GET", "/library?a=b", "cookie", []byte("c="), true)
	f.Add("GET", "/library?%ff=", "x\xff", []byte("\xff\r\n"), true)
	f.Add("delete", "/..", "", []byte{}, false)
	f.Fuzz(func(t *testing.T, method, path, name string, value []byte, withKey bool) {
		check := rawForm(name, string(value))
		h := check.Attributes.Request.Http
		h.Method, h.Path = method, path
		if withKey {
			h.HeaderMap.Headers = append(h.HeaderMap.Headers,
				&corev3.HeaderValue{Key: "x-api-key", RawValue: []byte(secret.Reveal())},
				&corev3.HeaderValue{Key: name, RawValue: append(value, secret.Reveal()...)})
			h.Path += secret.Reveal()
		}
		ctx := peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711}})
		res, err := server.Check(ctx, check)
		require.NoError(t, err)
		_, err = proto.Marshal(res)
		require.NoError(t, err)
		require.NoError(t, res.ValidateAll())
		if ok := res.GetOkResponse(); ok != nil {
			require.True(t, withKey)
			_, query, _ := strings.Cut(h.Path, "?")
			for pair := range strings.SplitSeq(query, "&") {
				if name, _, _ := strings.Cut(pair, "="); !slices.Contains(ok.QueryParametersToRemove, name) {
					require.NotContains(t, pair, secret.Reveal())
				}
			}
			ok.QueryParametersToRemove = nil // the key may be the name of a parameter, as in "?KEY"
			require.NotContains(t, res.String(), secret.Reveal())
		}
	})
}
