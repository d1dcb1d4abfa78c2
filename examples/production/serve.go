package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// serve serves requests until ctx is done. Then it clears ready, waits for the drain, so that a load
// balancer stops sending requests, and finishes the requests that have started within 20 seconds.
func serve(ctx context.Context, c config, listener net.Listener, handler http.Handler, ready *atomic.Bool) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second, // streams set their own deadline
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	served := make(chan error, 1)
	go func() {
		if c.certFile != "" {
			served <- server.ServeTLS(listener, c.certFile, c.keyFile)
		} else {
			served <- server.Serve(listener)
		}
	}()
	ready.Store(true)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ready.Store(false)
	time.Sleep(c.drain)
	grace, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := server.Shutdown(grace)
	if served := <-served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
