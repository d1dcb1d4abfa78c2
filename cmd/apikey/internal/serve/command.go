// Package serve is the command "apikey serve": the dashboard, the management API and forward auth for reverse proxies
// in one process.
package serve

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/admin"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
)

// Command returns the command serve.
func Command(a *cli.App) *cobra.Command { return command(a, &config{}) }

// command returns the command, which keeps its flags in c.
func command(a *cli.App, c *config) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the dashboard, the management API and forward auth for reverse proxies",
		Long: `Serve, over one database:

  /admin/        the dashboard, with --password-hash-file or --generate-password
  /api/          the management API, for keys with the scope apikeys:manage or apikeys:administer
  /auth/nginx    forward auth for reverse proxies, with --rules; also /auth/caddy,
                 /auth/traefik, /auth/apisix and /auth/envoy
  /livez         200 while the process runs
  /readyz        200 while keys can be checked
  /metrics       for Prometheus, on the address of --metrics

SIGHUP reloads the rules and the certificate. After SIGTERM the server finishes
the requests that have started, and ends.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.environment(cmd.Flags(), a.Getenv); err != nil {
				return cli.Usage(err)
			}
			if err := c.check(a.Getenv); err != nil {
				return cli.Usage(err)
			}
			// The context of the command ends on SIGHUP, on which serve reloads instead.
			ctx, stop := signal.NotifyContext(context.WithoutCancel(cmd.Context()), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			return run(ctx, a, c)
		},
	}
	c.register(cmd.Flags())
	return cmd
}

// run opens the keys, serves until ctx is done, and closes the keys.
func run(ctx context.Context, a *cli.App, c *config) (err error) {
	logger, err := newLogger(a.Err, c)
	if err != nil {
		return cli.Usage(err)
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	k, err := openKeys(ctx, a, c, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.close()) }()
	if c.generatePassword {
		if err := generatePassword(a.Out, c); err != nil {
			return err
		}
	}
	m := newMetrics()
	m.registry.MustRegister(newCacheMetrics(k.cache.Stats))
	s := &server{config: c, logger: logger, keys: k, metrics: m, notify: notifier(a.Getenv("NOTIFY_SOCKET"))}
	return s.run(ctx, hangups)
}

// newLogger returns the logger. No entry contains a key, a path or a query.
func newLogger(out io.Writer, c *config) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.logLevel)); err != nil {
		return nil, fmt.Errorf("--log-level: %q; want debug, info, warn or error", c.logLevel)
	}
	o := &slog.HandlerOptions{Level: level}
	if c.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(out, o)), nil
	}
	return slog.New(slog.NewTextHandler(out, o)), nil
}

// generatePassword makes a password for this run and prints it.
func generatePassword(out io.Writer, c *config) (err error) {
	password := rand.Text()
	if c.passwordHash, err = admin.HashPassword(apikey.NewSecret(password)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "The password of the dashboard, for this run: %s\n", password)
	return err
}
