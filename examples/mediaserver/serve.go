package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/emby"
)

// serve answers requests until ctx is done.
func serve(ctx context.Context, out io.Writer, addr string, db *database, issuer *apikey.Issuer) error {
	cache, err := cachestore.New(db.store, db.store, cachestore.Options{})
	if err != nil {
		return err
	}
	defer cache.Close()
	if db.listen != nil {
		var listening sync.WaitGroup
		defer listening.Wait()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		listening.Go(func() { db.listen(ctx, cache.Wake) })
	}
	auth, err := apikey.New(cache, apikey.Options{Sources: emby.Sources(), Realm: "Media server"})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	base := "http://" + reachable(addr, listener)
	fmt.Fprintf(out, "Listening on %s, with keys in %s\n\n", base, db.name)
	handler, err := withDashboard(newAPI(auth, issuer, base), issuer, base, out)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	if err := welcome(ctx, out, base, issuer); err != nil {
		return errors.Join(err, listener.Close())
	}
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
	return <-done // when the last request was answered
}

// welcome issues a key if there is none yet.
func welcome(ctx context.Context, out io.Writer, base string, issuer *apikey.Issuer) error {
	page, err := issuer.Manager().List(ctx, apikey.ListOptions{Limit: 1})
	if err != nil {
		return err
	}
	if len(page.Keys) > 0 {
		fmt.Fprint(out, "There are keys already. To make another: -issue NAME\n\n")
		return nil
	}
	secret, key, err := issuer.Issue(ctx, apikey.Key{Name: "Quickstart"})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, `A key was issued, with the ID %[3]s. It is shown this once:

  %[2]s

Use it in either way:

  curl -H 'X-Emby-Token: %[2]s' %[1]s/emby/System/Info
  curl '%[1]s/emby/System/Info?api_key=%[2]s'

It may do no more than that. To list, make and revoke keys at /Auth/Keys, make one with
-issue NAME -scopes %[4]s

`, base, secret.Reveal(), key.ID, emby.ScopeManage)
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

// accessLog logs each request. It stands inside Conceal and Paths, which take keys from where they
// belong, and redacts what looks like one elsewhere.
func accessLog(auth *apikey.Middleware, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		slog.Info("request", "method", r.Method, "uri", auth.RedactURI(r.RequestURI), "status", recorder.status)
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
