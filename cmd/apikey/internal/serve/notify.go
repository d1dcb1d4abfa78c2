package serve

import (
	"net"
	"time"
)

// notifier returns a function that tells systemd the state of the service, as sd_notify(3) describes.
// The socket is the value of $NOTIFY_SOCKET. Without a socket the function does nothing. It ignores errors, because
// systemd may be gone.
func notifier(socket string) func(state string) {
	return func(state string) {
		if socket == "" {
			return
		}
		conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
		if err != nil {
			return
		}
		defer conn.Close()
		conn.SetWriteDeadline(time.Now().Add(time.Second))
		conn.Write([]byte(state))
	}
}
