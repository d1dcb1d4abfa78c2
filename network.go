package apikey

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// maxNetworks is the maximum number of networks of one key.
const maxNetworks = 100

// errNetwork is the [ErrForbidden] of a request from outside the key's Networks.
var errNetwork = fmt.Errorf("%w: the address of the client is in none of the key's networks", ErrForbidden)

// permits reports whether the key may be used from an address.
func (k *Key) permits(addr netip.Addr) bool {
	return len(k.Networks) == 0 || anyContains(k.Networks, addr)
}

// anyContains reports whether one of the networks contains an address. No network contains an
// invalid address.
func anyContains(networks []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("") // a Prefix contains neither 4-in-6 addresses nor zones
	for _, network := range networks {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// peerAddr returns the address of RemoteAddr, which net/http sets from the connection.
func peerAddr(r *http.Request) (netip.Addr, bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return peer.Addr().Unmap().WithZone(""), err == nil
}

// TrustProxies returns a function for Options.ClientAddr that finds the client behind reverse
// proxies. The arguments are the networks from which your own proxies connect.
//
// The function starts with the address of the connection. If that is a proxy, it continues with
// the address that the proxy appended to X-Forwarded-For, and so on from right to left. The first
// address that is not a proxy is the client. Addresses further left are ignored, because the
// client can write them. If all addresses are proxies, the leftmost one is the client. The
// function returns false if it reaches text that is not an address.
//
// Every proxy must append the address of its peer to X-Forwarded-For, or replace the field. An
// address may have a port. Name only the addresses of your proxies, because every program in these
// networks can pretend to have any address. A proxy that connects through a Unix socket has no
// address, so it is not trusted.
//
// If an argument is not a network of one family, such as the zero Prefix, the function returns
// false for every request.
func TrustProxies(proxies ...netip.Prefix) func(*http.Request) (netip.Addr, bool) {
	networks := make([]netip.Prefix, len(proxies))
	for i, p := range proxies {
		if familyProblem(p) != "" {
			return func(*http.Request) (netip.Addr, bool) { return netip.Addr{}, false }
		}
		networks[i] = unmapped(p)
	}
	return func(r *http.Request) (netip.Addr, bool) {
		addr, ok := peerAddr(r)
		lines := r.Header["X-Forwarded-For"]
		for i := len(lines) - 1; i >= 0; i-- {
			for rest, more := lines[i], true; more; {
				if !ok || !anyContains(networks, addr) {
					return addr, ok
				}
				var last string
				comma := strings.LastIndexByte(rest, ',')
				last, more = rest[comma+1:], comma >= 0
				if more {
					rest = rest[:comma]
				}
				addr, ok = forwardedAddr(trimOWS(last))
			}
		}
		return addr, ok
	}
}

// forwardedAddr parses an element of X-Forwarded-For: an address, with or without a port.
func forwardedAddr(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		var peer netip.AddrPort
		peer, err = netip.ParseAddrPort(s)
		addr = peer.Addr()
	}
	if err != nil && strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		addr, err = netip.ParseAddr(s[1 : len(s)-1])
	}
	return addr.Unmap().WithZone(""), err == nil
}

// unmapped returns the IPv4 network of a 4-in-6 one, and other networks as they are.
func unmapped(p netip.Prefix) netip.Prefix {
	if p.IsValid() && p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// networksProblem returns the problem with the networks of a key, or "".
func networksProblem(networks []netip.Prefix) string {
	if len(networks) > maxNetworks {
		return fmt.Sprintf("%d networks; want at most %d", len(networks), maxNetworks)
	}
	for _, p := range networks {
		if problem := familyProblem(p); problem != "" {
			return problem
		}
		if p != p.Masked() {
			return fmt.Sprintf("%v has host bits set; want %v", p, p.Masked())
		}
	}
	return ""
}

// familyProblem returns the problem with a prefix that is not a network of one family, or "".
func familyProblem(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return "the zero Prefix; want a network such as 192.0.2.0/24"
	case p.Addr().Is4In6() && p.Bits() < 96:
		return fmt.Sprintf("%v mixes IPv4 and IPv6; want one network for each", p)
	}
	return ""
}
