// Command stream sends events until the caller's key becomes invalid: Server-Sent Events at /library
// and a WebSocket at /library/socket. The middleware decides at the start of a request, so a stream
// must check its key again.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/demo"
)

func main() {
	demo.ServeOn(apikey.Options{}, func(listener net.Listener, auth *apikey.Middleware) error {
		server := &http.Server{Handler: newService(auth, time.Second, 5*time.Second), ReadHeaderTimeout: 10 * time.Second}
		return server.Serve(listener)
	}, demo.Caller{Key: apikey.NewKey{Name: "Reading room"}, Command: "curl --no-buffer -H 'X-API-Key: KEY' http://ADDR/library"})
}

// newService returns the routes. A stream sends an event each interval and checks its key each
// recheck.
func newService(auth *apikey.Middleware, interval, recheck time.Duration) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /library", events(auth, interval, recheck))
	mux.Handle("GET /library/socket", socket(auth, interval, recheck))
	return auth.Handler(mux)
}

// whileValid calls send each interval until the client disconnects, send fails, or the key becomes
// invalid. A failure of the store also ends the stream, because the key may have been revoked. The
// client then connects again.
func whileValid(auth *apikey.Middleware, r *http.Request, interval, recheck time.Duration, send func() error) error {
	sending, checking := time.NewTicker(interval), time.NewTicker(recheck)
	defer sending.Stop()
	defer checking.Stop()
	for {
		select {
		case <-r.Context().Done():
			return r.Context().Err()
		case <-checking.C:
			if _, err := auth.Check(r); err != nil {
				return err
			}
		case <-sending.C:
			if err := send(); err != nil {
				return err
			}
		}
	}
}

// events returns a handler that sends Server-Sent Events.
func events(auth *apikey.Middleware, interval, recheck time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		flush := http.NewResponseController(w).Flush
		whileValid(auth, r, interval, recheck, func() error {
			fmt.Fprint(w, "data: tick\n\n")
			return flush()
		})
	})
}

// socket returns a handler that sends messages over a WebSocket.
func socket(auth *apikey.Middleware, interval, recheck time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // Accept has written a response
		}
		defer conn.CloseNow()
		ctx := conn.CloseRead(r.Context())
		err = whileValid(auth, r.WithContext(ctx), interval, recheck, func() error {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			return conn.Write(ctx, websocket.MessageText, []byte("tick"))
		})
		if err != nil && ctx.Err() == nil {
			conn.Close(websocket.StatusPolicyViolation, "The API key is no longer valid.")
		}
	})
}
