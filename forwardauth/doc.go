// Package forwardauth answers a reverse proxy that asks, for each request of a client, whether the
// request may pass. The service behind the proxy needs no code for API keys, so it can be written in
// any language. The proxy is nginx (auth_request), Caddy (forward_auth), Traefik (ForwardAuth), Envoy
// (ext_authz over HTTP), or another one with the same contract.
//
// [Restore] turns the proxy's subrequest back into the request of the client. Every rule behind it
// therefore sees the original method and URL: the Middleware, its Authorize, and a mux whose routes
// require scopes. [Allow] is the end of the chain, and answers 200 with the identity of the caller:
//
//	rules := http.NewServeMux()
//	rules.Handle("/", forwardauth.Allow())
//	rules.Handle("/admin/", apikey.Require("admin")(forwardauth.Allow()))
//	handler, err := forwardauth.Restore(auth.Handler(rules), forwardauth.Options{
//		Convention: forwardauth.OriginalURI, // nginx
//		Trusted:    []netip.Prefix{netip.MustParsePrefix("10.0.0.7/32")},
//	})
//
// # The identity
//
// The service behind the proxy reads X-Apikey-Id, X-Apikey-Name, X-Apikey-Owner and X-Apikey-Scopes. The
// proxy must replace these fields of the client's request, even if the new value is empty. Otherwise a
// client can choose its own identity. Only the proxy may reach the service.
//
// The proxy must also remove the client's own values of the fields of its [Convention] from the request for
// the service. A service that obeys such a field would serve another URL or method than the rules permitted.
//
// # The key
//
// A key in a header field reaches the service unless the proxy removes the field. A key in the query
// reaches it too, because the answer to a subrequest over HTTP cannot change the URL. Envoy's gRPC
// protocol can remove the key; see package envoy below this one. Otherwise accept keys only in header
// fields, by Options.Sources of the Middleware.
//
// The page docs/forward-auth.md has a configuration for each proxy.
package forwardauth
