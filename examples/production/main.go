// Command production is a complete service to copy: keys in PostgreSQL behind a cache, a dashboard,
// health endpoints, timeouts, and a graceful shutdown.
//
// Environment variables configure the service. It also reads each secret NAME from the file that
// NAME_FILE names. Two commands generate secrets and use the same variables:
//
//	production hash-password	reads a password and prints its hash for ADMIN_PASSWORD_HASH
//	production make-key     	prints a key for SEED_KEY that is valid under PEPPER
package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil {
		slog.Error("production: failed", "error", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	switch strings.Join(args, " ") {
	case "":
		return run(ctx)
	case "hash-password":
		return hashPassword(os.Stdin, os.Stdout)
	case "make-key":
		return makeKey(ctx, os.Stdout)
	}
	return errors.New("usage: production [hash-password | make-key]")
}

func run(ctx context.Context) error {
	c, err := loadConfig()
	if err != nil {
		return err
	}
	k, err := openKeys(ctx, c)
	if err != nil {
		return err
	}
	defer k.close()
	if err := k.seed(ctx, c); err != nil {
		return err
	}
	handler, ready, err := newHandler(k, c)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.addr)
	if err != nil {
		return err
	}
	slog.Info("production: listening", "addr", listener.Addr().String())
	return serve(ctx, c, listener, handler, ready)
}
