// Package remote manages keys through the JSON API of package manageapi.
package remote

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/latchkey-dev/apikey"
)

// A Session manages keys through a server, with the methods and errors of a manage.Session. The permissions of its key
// limit it. It is safe for concurrent use.
type Session struct {
	base   *url.URL // ends with a slash
	key    apikey.Secret
	client *http.Client

	mu       sync.Mutex
	versions map[string]version // of the keys that Get has read, by ID
}

// A version is the version of a key as this program and as the server compute it. They differ if the server
// is newer and its keys have more fields.
type version struct{ own, server string }

// Timeouts, which include reading the response. A server revokes all keys of an owner within one request.
const (
	dialTimeout      = 10 * time.Second
	timeout          = 30 * time.Second
	revokeAllTimeout = 10 * time.Minute
)

// New returns a Session for the API at a URL, such as https://example.com/manage. It refuses http, unless the
// host is this machine or allowHTTP is set, because the network could read the key.
func New(address string, key apikey.Secret, allowHTTP bool) (*Session, error) {
	base, err := url.Parse(address)
	switch {
	case err != nil: // not shown, because the URL may contain a password
		return nil, errors.New("malformed; want a URL such as https://example.com/manage")
	case base.User != nil:
		return nil, errors.New("contains a password; want the key in a file")
	case base.Host == "" || base.RawQuery != "" || base.Fragment != "" || base.Scheme != "https" && base.Scheme != "http":
		return nil, errors.New("want a URL such as https://example.com/manage")
	case base.Scheme == "http" && !allowHTTP && !isLoopback(base.Hostname()):
		return nil, errors.New("http sends keys without encryption; use https, or set --allow-http")
	}
	if strings.ContainsFunc(key.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the key contains a character that no key has")
	}
	base = base.JoinPath("/")
	transport := http.DefaultTransport.(*http.Transport).Clone()
	dialer := &net.Dialer{Timeout: dialTimeout}
	if base.Scheme == "http" && !allowHTTP {
		// A resolver may send names such as x.localhost to another machine, and a proxy may run on one.
		dialer.Control, transport.Proxy = refuseOthers, nil
	}
	transport.DialContext = dialer.DialContext
	transport.MaxResponseHeaderBytes = 64 << 10
	return &Session{
		base: base, key: key, versions: map[string]version{},
		client: &http.Client{
			Transport: transport,
			// A redirect must not send the key to another server.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761 section 6.3
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// refuseOthers is a net.Dialer.Control that refuses connections to other machines.
func refuseOthers(_, address string, _ syscall.RawConn) error {
	if to, err := netip.ParseAddrPort(address); err != nil || !to.Addr().Unmap().IsLoopback() {
		return fmt.Errorf("%s is another machine, and http sends keys without encryption; use https", address)
	}
	return nil
}

// remember records the version of a key that was read.
func (s *Session) remember(id string, v version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions[id] = v
}

// tagOf returns the value of If-Match for a version that the caller has computed.
func (s *Session) tagOf(id, own string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if read := s.versions[id]; read.own == own {
		own = read.server
	}
	return fmt.Sprintf("%q", own)
}
