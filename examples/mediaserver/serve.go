package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/emby"
	"github.com/latchkey-dev/apikey/manage"
)

// serve serves requests until ctx is done. It prints nothing before it listens.
func serve(ctx context.Context, out io.Writer, db *database, issuer *apikey.Issuer, c *command) error {
	cache, err := cachestore.New(db.store, cachestore.Options{})
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
	listener, err := net.Listen("tcp", c.addr.value)
	if err != nil {
		return err
	}
	base := "http://" + reachable(c.addr.value, listener)
	dashboard, password, err := newDashboard(issuer, base)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	keys, err := newKeys(issuer, c.showNewKeys)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	hello, err := welcome(ctx, base, issuer)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if _, err = fmt.Fprintf(out, "Listening on %s, with keys in %s\n\nThe dashboard is at %s/admin/, with %s\n\n%s\n\n",
		base, db.name, base, password, hello); err != nil {
		return errors.Join(err, listener.Close())
	}
	server := &http.Server{
		Handler:           newHandler(auth, keys, dashboard, base),
		ReadHeaderTimeout: 10 * time.Second,
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
	return <-done // after the last response
}

// newKeys returns the endpoints at /Auth/Keys.
func newKeys(issuer *apikey.Issuer, showOnceMore bool) (http.Handler, error) {
	desk, err := manage.New(issuer)
	if err != nil {
		return nil, err
	}
	if showOnceMore {
		return emby.Keys(desk, emby.ShowOnceMore())
	}
	return emby.Keys(desk)
}

// welcome issues a first key if the database has no keys, and returns a text for the user.
func welcome(ctx context.Context, base string, issuer *apikey.Issuer) (text string, err error) {
	page, err := issuer.Manager().List(ctx, apikey.ListOptions{Limit: 1})
	if err != nil {
		return "", err
	}
	if len(page.Keys) > 0 {
		return "The database has keys already. To issue another: -issue NAME", nil
	}
	secret, key, err := issuer.Issue(ctx, apikey.NewKey{Name: "Quickstart"})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`A key was issued, with the ID %[3]s. It is shown only once:

  %[2]s

Use it in one of two ways:

  curl -H 'X-Emby-Token: %[2]s' %[1]s/emby/System/Info
  curl '%[1]s/emby/System/Info?api_key=%[2]s'

This key cannot manage keys. To list, create and revoke keys at /Auth/Keys, issue one with
-issue NAME -scopes %[4]s`, base, secret.Reveal(), key.ID, manage.ScopeManage), nil
}

// reachable returns the host and port at which this machine reaches the listener.
func reachable(addr string, listener net.Listener) string {
	host, _, _ := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return net.JoinHostPort(host, port)
}
