package leak

import (
	"net/http"
	"net/netip"
	"strings"
)

// A way says how a request came from the client.
type way int

const (
	encrypted way = iota
	plain         // certainly in the clear
	uncertain
)

// wayOf returns how a request came from the client.
func (p *Plaintext) wayOf(r *http.Request) way {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	addr := peer.Addr().Unmap().WithZone("")
	said := schemesOf(r.Header)
	switch {
	case err == nil && p.isProxy(addr):
		return agreed(said)
	case r.TLS != nil:
		return encrypted
	case err != nil || addr.IsLoopback() || len(said) > 0:
		return uncertain
	}
	return plain
}

func (p *Plaintext) isProxy(addr netip.Addr) bool {
	for _, network := range p.proxies {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// agreed returns the way on which all schemes agree.
func agreed(schemes []string) way {
	secure, insecure := 0, 0
	for _, scheme := range schemes {
		switch strings.ToLower(scheme) {
		case "https", "wss": // Traefik names the scheme of WebSockets
			secure++
		case "http", "ws":
			insecure++
		}
	}
	switch len(schemes) {
	case 0:
		return uncertain
	case secure:
		return encrypted
	case insecure:
		return plain
	}
	return uncertain
}

// schemesOf returns the schemes that the header names. A scheme that cannot be read is "".
func schemesOf(h http.Header) (all []string) {
	for _, line := range h["X-Forwarded-Proto"] {
		for scheme := range strings.SplitSeq(line, ",") {
			all = append(all, strings.Trim(scheme, " \t"))
		}
	}
	for _, line := range h["Forwarded"] {
		all = append(all, forwardedSchemes(line)...)
	}
	return all
}

// forwardedSchemes returns the values of the parameter proto in a line of Forwarded (RFC 7239 section 4). An
// element without the parameter, or a malformed one, counts as "".
func forwardedSchemes(line string) (all []string) {
	for _, element := range splitQuoted(line, ',') {
		scheme := ""
		for _, pair := range splitQuoted(element, ';') {
			name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
			if strings.EqualFold(name, "proto") {
				if scheme != "" {
					scheme = "repeated"
					break
				}
				scheme = strings.TrimSuffix(strings.TrimPrefix(value, `"`), `"`)
			}
		}
		all = append(all, scheme)
	}
	return all
}

// splitQuoted splits a text at a separator outside of quoted strings.
func splitQuoted(s string, separator byte) (parts []string) {
	quoted, from := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			parts, from = append(parts, s[from:i]), i+1
		}
	}
	return append(parts, s[from:])
}
