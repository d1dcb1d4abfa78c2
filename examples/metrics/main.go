// Command metrics reports every decision about a key to Prometheus and OpenTelemetry, and the
// statistics of the cache to Prometheus. It serves /metrics and writes traces to standard error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, os.Stderr, *addr); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out, traceOut io.Writer, addr string) (err error) {
	exporter, err := stdouttrace.New(stdouttrace.WithWriter(traceOut))
	if err != nil {
		return err
	}
	traces := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
	defer func() { err = errors.Join(err, traces.Shutdown(context.Background())) }()

	store := memstore.New()
	cache, err := cachestore.New(store, cachestore.Options{})
	if err != nil {
		return err
	}
	defer cache.Close()
	handler, err := newService(cache, prometheus.NewRegistry(), traces)
	if err != nil {
		return err
	}
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	if err != nil {
		return err
	}
	secret, _, err := issuer.Issue(ctx, apikey.NewKey{Name: "Backup job"})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "curl -H 'X-API-Key: %s' http://%s/library\n", secret.Reveal(), listener.Addr())
	fmt.Fprintf(out, "curl http://%s/metrics\n", listener.Addr())
	return serve(ctx, listener, handler)
}

// serve serves requests until ctx is done, and then finishes the requests that have started.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		done <- server.Shutdown(grace)
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	return <-done
}

// newService returns a service that reports its decisions. /metrics needs no key, so only Prometheus
// should be able to reach it.
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
	return auth.Conceal(mux), nil // outermost, so that redirects of the mux contain no key
}
