package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/routes"
)

// A server is one run of the command serve.
type server struct {
	config  *config
	logger  *slog.Logger
	keys    *keys
	metrics *metrics
	notify  func(state string)

	ready atomic.Bool
	rules atomic.Pointer[routes.Table]
	cert  atomic.Pointer[tls.Certificate]
}

// The limits of a connection. No response of this server is a stream.
const (
	headerTimeout  = 5 * time.Second
	requestTimeout = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeader      = 64 << 10
	grace          = 20 * time.Second // for requests that have started
)

func (s *server) newHTTPServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
	}
}

// run serves until ctx is done. Then /readyz fails, and after the drain the server finishes the
// requests that have started. A value on hangups reloads the rules and the certificate.
func (s *server) run(ctx context.Context, hangups <-chan os.Signal) error {
	if err := s.load(); err != nil {
		return err
	}
	handler, err := s.handler()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", s.config.listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	defer listener.Close()
	main := s.newHTTPServer(handler)
	ended := make(chan error, 2)
	serving := 1
	metrics := s.newHTTPServer(s.metrics.handler())
	if s.config.metrics != "off" {
		at, err := net.Listen("tcp", s.config.metrics)
		if err != nil {
			return fmt.Errorf("--metrics: %w", err)
		}
		serving++
		s.logger.Info("serve: metrics", "metrics", at.Addr().String())
		go func() { ended <- metrics.Serve(at) }()
	}
	scheme := "http"
	if s.config.certFile != "" {
		scheme = "https"
		main.TLSConfig = &tls.Config{GetCertificate: s.getCertificate, MinVersion: tls.VersionTLS12}
		go func() { ended <- main.ServeTLS(listener, "", "") }()
	} else {
		go func() { ended <- main.Serve(listener) }()
	}
	s.ready.Store(true)
	s.notify("READY=1")
	s.logger.Info("serve: listening", "addr", listener.Addr().String(), "scheme", scheme, "database", s.keys.db.Name,
		"dashboard", s.config.passwordHash.Reveal() != "", "forward_auth", s.config.rulesFile != "")

	err = s.wait(ctx, hangups, ended)
	if err != nil {
		serving--
	}
	s.notify("STOPPING=1")
	s.ready.Store(false)
	if err == nil {
		s.waitForDrain()
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err = errors.Join(err, main.Shutdown(end), metrics.Shutdown(end))
	for range serving {
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
	}
	return err
}

// waitForDrain waits until load balancers have seen that /readyz fails. Another signal ends it, because the drain may be
// long and SIGKILL would lose the last uses of keys.
func (s *server) waitForDrain() {
	again, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s.logger.Info("serve: stopping", "drain", s.config.drain.String())
	select {
	case <-time.After(s.config.drain):
	case <-again.Done():
	}
}

// wait reloads on hangups until ctx is done. It returns the error of a listener that fails before.
func (s *server) wait(ctx context.Context, hangups <-chan os.Signal, ended <-chan error) error {
	for {
		select {
		case <-hangups:
			s.reload()
		case err := <-ended:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}
