// Mediaserver is a small media server whose API requires a key. It answers the request from Emby's
// documentation:
//
//	curl 'http://localhost:8096/emby/System/Info?api_key=KEY'
//
// A database stores the keys: an SQLite file, or a server that several processes share. The first
// command below serves the API. The others manage keys, even while servers run:
//
//	mediaserver [-addr HOST:PORT] [-db FILE|DSN] [-show-new-keys]
//	mediaserver [-db FILE|DSN] -issue NAME [-scopes SCOPE,…]
//	mediaserver [-db FILE|DSN] -list
//	mediaserver [-db FILE|DSN] -revoke ID|KEY|-
//	mediaserver -hash-password
//
// The exit status is 1 after an error, and 2 if the arguments are invalid.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/latchkey-dev/apikey"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(status)
}

// streams are the standard streams of a command.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run runs the command in args and returns the exit status.
func run(ctx context.Context, args []string, std streams) (status int) {
	c, err := parse(args, std.err)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(std.err, "mediaserver: %v\nmediaserver -help lists the commands.\n", err)
		return 2
	}
	if err := c.run(ctx, std); err != nil {
		fmt.Fprintln(std.err, "mediaserver:", err)
		return 1
	}
	return 0
}

func (c *command) run(ctx context.Context, std streams) (err error) {
	if c.action == actionHashPassword {
		return hashPassword(ctx, std)
	}
	revoked := apikey.NewSecret(c.revoke.value)
	if c.revoke.value == "-" { // before slow operations, during which the terminal would echo
		if revoked, err = readSecret(ctx, std, "Key or ID: "); err != nil {
			return fmt.Errorf("-revoke: %w", err)
		}
	}
	db, err := openDatabase(ctx, c.db.value)
	if err != nil {
		return err
	}
	defer func() {
		// ctx may be done, but the store must still write the last uses of keys.
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err = errors.Join(err, db.close(ctx))
	}()
	issuer, err := apikey.NewIssuer(db.store, apikey.IssuerOptions{})
	if err != nil {
		return err
	}
	ctx = apikey.WithActor(ctx, "command line")
	switch c.action {
	case actionIssue:
		return issue(ctx, std, issuer, c.issue.value, c.scopes.value)
	case actionList:
		return list(ctx, std, issuer.Manager())
	case actionRevoke:
		return revoke(ctx, std, issuer, revoked)
	}
	return serve(ctx, std.out, db, issuer, c)
}
