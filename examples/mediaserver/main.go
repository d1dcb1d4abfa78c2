// Mediaserver is a small media server whose API is open to programs that have a key. It
// answers what Emby's documentation asks with:
//
//	curl 'http://localhost:8096/emby/System/Info?api_key=KEY'
//
// Keys are kept in memory: each start makes a new one and prints it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

func main() {
	addr := flag.String("addr", "localhost:8096", "address to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mediaserver:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done.
func run(ctx context.Context, addr string, out io.Writer) error {
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{Realm: "Media server"})
	if err != nil {
		return err
	}
	issuer, err := apikey.NewIssuer(store, nil)
	if err != nil {
		return err
	}
	secret, _, err := issuer.Issue(ctx, apikey.Key{Name: "Quickstart"})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	url := "http://" + reachable(addr, listener)
	server := &http.Server{
		Handler:           auth.Conceal(accessLog(newMux(auth, url))),
		ReadHeaderTimeout: 10 * time.Second,
	}
	fmt.Fprintf(out, `Listening on %[1]s

A key was issued. It is shown this once:

  %[2]s

Use it in either way:

  curl -H 'X-Emby-Token: %[2]s' %[1]s/emby/System/Info
  curl '%[1]s/emby/System/Info?api_key=%[2]s'

`, url, secret.Reveal())

	done := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		server.Shutdown(grace)
	})
	defer done()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// reachable returns the host and port under which this machine reaches the listener.
func reachable(addr string, listener net.Listener) string {
	host, _, _ := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return net.JoinHostPort(host, port)
}

// accessLog logs each request. It stands inside Conceal, so that no key gets into the log.
func accessLog(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		slog.Info("request", "method", r.Method, "uri", r.RequestURI, "status", recorder.status)
	})
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController find what the server's own writer can do.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
