// Command apikey manages API keys from a terminal or a script. It works on the database of a service, or
// on the management API of a server.
//
// Run apikey help for its commands.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
)

func main() {
	// Write then returns an error for a closed pipe, and a command can revoke a key whose secret it could not write.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	app := cli.New(cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Getenv)
	status := app.Run(ctx, newRoot(app), os.Args[1:])
	stop()
	os.Exit(status)
}
