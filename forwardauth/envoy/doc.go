// Package envoy answers Envoy's external authorization filter over gRPC, the service
// envoy.service.auth.v3.Authorization. The Kubernetes Gateway API names this protocol GRPC in its
// ExternalAuth filter.
//
// The rules are those of package forwardauth: a chain of handlers that ends in [forwardauth.Allow].
// Unlike the HTTP protocol, this protocol also removes the key from the request for the service, from the
// header and from the query:
//
//	server, err := envoy.New(auth.Handler(rules), envoy.Options{Auth: auth, Trusted: trusted})
//	...
//	grpcServer := grpc.NewServer()
//	authv3.RegisterAuthorizationServer(grpcServer, server)
//
// The package is a module of its own, because it needs gRPC and Envoy's protocol definitions.
package envoy
