// Mediaserver is a small media server whose API is open to programs that have a key. It
// answers what Emby's documentation asks with:
//
//	curl 'http://localhost:8096/emby/System/Info?api_key=KEY'
//
// Keys are kept in a database: a file of SQLite, or a server that several processes share.
// From the command line keys are issued and revoked, also while a server runs:
//
//	mediaserver [-addr HOST:PORT] [-db FILE|DSN]
//	mediaserver [-db FILE|DSN] -issue NAME [-scopes SCOPE,…]
//	mediaserver [-db FILE|DSN] -revoke ID
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/emby"
)

func main() {
	addr := flag.String("addr", "localhost:8096", "address to listen on")
	db := flag.String("db", "apikeys.db", "where keys are kept: a file of SQLite, postgres://…, mysql://…, or a DSN as libpq or the MySQL driver has it")
	issue := flag.String("issue", "", "issue a key with this name, and exit")
	scopes := flag.String("scopes", "", "what the issued key may do, separated by commas, such as "+emby.ScopeManage)
	revoke := flag.String("revoke", "", "revoke the key with this ID, and exit")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, *addr, *db, *issue, *scopes, *revoke); err != nil {
		fmt.Fprintln(os.Stderr, "mediaserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, addr, dsn, issue, scopes, revoke string) (err error) {
	db, err := openDatabase(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() {
		// Not ctx, which may be done: the last uses of keys are still to be written.
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err = errors.Join(err, db.close(ctx))
	}()
	issuer, err := apikey.NewIssuer(db.store, nil)
	if err != nil {
		return err
	}
	ctx = apikey.WithActor(ctx, "command line")
	switch {
	case issue != "":
		secret, key, err := issuer.Issue(ctx, apikey.Key{Name: issue, Scopes: scopesIn(scopes)})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s is the ID of %q. Its key, shown this once:\n\n  %s\n", key.ID, key.Name, secret.Reveal())
		return nil
	case revoke != "":
		key, err := db.store.Revoke(ctx, revoke)
		if err != nil {
			return fmt.Errorf("key %s: %w", revoke, err)
		}
		fmt.Fprintf(out, "%s, %q, was revoked on %s\n", key.ID, key.Name, key.RevokedAt.Local().Format(time.DateTime))
		return nil
	}
	return serve(ctx, out, addr, db, issuer)
}

// scopesIn returns what -scopes lists.
func scopesIn(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
