// Command metrics tells Prometheus and OpenTelemetry of every decision about a key, and of the
// cache: outcomes, durations, hits. It serves /metrics and writes its traces to standard error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/memstore"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "address to listen on")
	flag.Parse()
	if err := run(*addr); err != nil {
		log.Fatal(err)
	}
}

func run(addr string) (err error) {
	exporter, err := stdouttrace.New(stdouttrace.WithWriter(os.Stderr))
	if err != nil {
		return err
	}
	traces := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
	defer func() { err = errors.Join(err, traces.Shutdown(context.Background())) }()

	store := memstore.New()
	cache, err := cachestore.New(store, store, cachestore.Options{})
	if err != nil {
		return err
	}
	defer cache.Close()
	handler, err := newService(cache, prometheus.NewRegistry(), traces)
	if err != nil {
		return err
	}
	issuer, err := apikey.NewIssuer(store, nil)
	if err != nil {
		return err
	}
	secret, _, err := issuer.Issue(context.Background(), apikey.Key{Name: "Backup job"})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("curl -H 'X-API-Key: %s' http://%s/library\n", secret.Reveal(), listener.Addr())
	fmt.Printf("curl http://%s/metrics\n", listener.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}

// newService returns a service that is observed. Whoever can reach /metrics needs no key: keep it
// where only Prometheus can.
func newService(cache *cachestore.Store, registry *prometheus.Registry, traces trace.TracerProvider) (http.Handler, error) {
	auth, err := apikey.New(cache, apikey.Options{Observe: newDecisions(registry, traces).observe})
	if err != nil {
		return nil, err
	}
	registry.MustRegister(newCacheMetrics(cache.Stats))
	library := func(w http.ResponseWriter, r *http.Request) {
		key, _ := apikey.FromContext(r.Context())
		fmt.Fprintf(w, "Hello, %s!\n", key.Name)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.Handle("GET /library", auth.Handler(http.HandlerFunc(library)))
	mux.Handle("DELETE /library", auth.Handler(apikey.Require("library:write")(http.HandlerFunc(library))))
	return mux, nil
}
