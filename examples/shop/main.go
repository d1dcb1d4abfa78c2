// Command shop is a small shop whose customers make API keys for their programs on a settings page.
package main

import (
	"cmp"
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
	"time"

	_ "modernc.org/sqlite"

	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/sqlstore"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "`address` to listen on")
	file := flag.String("db", "shop.db", "SQLite `file` with the keys")
	base := flag.String("url", "", "`URL` of the shop in browsers, such as https://shop.example; \"\" means the address")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *addr, *file, *base); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer, addr, file, base string) error {
	db, err := sqlstore.OpenSQLite("sqlite", file)
	if err != nil {
		return err
	}
	defer db.Close()
	store, err := sqlstore.New(db, sqlstore.SQLite, sqlstore.Options{})
	if err != nil {
		return err
	}
	defer store.Close(context.WithoutCancel(ctx)) // writes the last uses of keys
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	cache, err := cachestore.New(store, cachestore.Options{})
	if err != nil {
		return err
	}
	defer cache.Close()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	base = cmp.Or(base, "http://"+listener.Addr().String())
	s, err := newShop(store, cache, base)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	fmt.Fprintf(out, "Open %s/ and log in as one of:\n\n", base)
	for _, c := range customers {
		fmt.Fprintf(out, "  %-18s  password of the demonstration: %s\n", c.email, c.demoPassword)
	}
	server := &http.Server{Handler: s.handler, ReadHeaderTimeout: 10 * time.Second}
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
