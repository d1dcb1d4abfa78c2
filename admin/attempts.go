package admin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// A budget limits wrong passwords to a burst, and one more after each interval.
type budget struct {
	client string // address, network or browser that has the budget
	burst  int
	every  time.Duration
}

// Each network has at most half of the budget of the network around it, so that one network cannot
// use up the budget that all of them share. The budget of all clients bounds a botnet to 300 guesses
// and 360 more in each hour.
const (
	addressBurst, addressEvery = 10, time.Minute // an IPv4 address, an IPv6 /64 or a known browser
	siteBurst, siteEvery       = 20, 40 * time.Second
	regionBurst, regionEvery   = 40, 30 * time.Second
	carrierBurst, carrierEvery = 80, 20 * time.Second
	allBurst, allEvery         = 300, 10 * time.Second
)

// allClients is the budget that all clients share, except known browsers.
var allClients = budget{"all clients", allBurst, allEvery}

// attempts counts the passwords that are being checked or were wrong. Memory is bounded, because each
// counted attempt uses allClients or the budget of a known browser, a refused attempt uses no
// memory, and attempts forgets full budgets.
type attempts struct {
	now   func() time.Time
	mu    sync.Mutex
	full  map[string]time.Time // by client: when its budget is full again
	sweep int                  // number of budgets at which to look for full ones
}

const minSweep = 1024

func newAttempts(now func() time.Time) *attempts {
	return &attempts{now: now, full: map[string]time.Time{}, sweep: minSweep}
}

// take counts one attempt against all budgets. If one of them is used up, it counts nothing and
// returns how long to wait.
func (a *attempts) take(budgets []budget) (wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	a.forgetFull(now)
	for _, b := range budgets {
		empty := now.Add(time.Duration(b.burst) * b.every)
		if a.full[b.client].After(empty) { // the clock was set back
			a.full[b.client] = empty
		}
		wait = max(wait, b.after(a.full[b.client], now).Sub(empty))
	}
	if wait > 0 {
		return wait
	}
	for _, b := range budgets {
		a.full[b.client] = b.after(a.full[b.client], now)
	}
	return 0
}

// after returns when the budget is full again after one more attempt.
func (b budget) after(full, now time.Time) time.Time {
	if full.Before(now) {
		full = now
	}
	return full.Add(b.every)
}

// giveBack undoes a take whose password was right or was not checked.
func (a *attempts) giveBack(budgets []budget) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range budgets {
		if full, ok := a.full[b.client]; ok {
			a.full[b.client] = full.Add(-b.every)
		}
	}
}

func (a *attempts) forgetFull(now time.Time) {
	if len(a.full) < a.sweep {
		return
	}
	for client, full := range a.full {
		if !full.After(now) {
			delete(a.full, client)
		}
	}
	a.sweep = max(minSweep, 2*len(a.full))
}

// maxClient is the length from which client returns a digest. The longest IPv6 address has 45 bytes.
const maxClient = 64

// client returns the address of a request without its port, for budgets and for the log. The text of
// ClientAddr may be as long as a header, so client replaces a long one by its digest.
func (h *dashboard) client(r *http.Request) string {
	client := r.RemoteAddr
	if h.clientAddr != nil {
		client = h.clientAddr(r)
	}
	client = strings.TrimSpace(client)
	if address, err := netip.ParseAddrPort(client); err == nil {
		return address.Addr().String()
	}
	// As an element of X-Forwarded-For. Otherwise each address would have a budget outside of its networks.
	if address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(client, "["), "]")); err == nil {
		return address.String()
	}
	if len(client) > maxClient {
		return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(client)))[:maxClient]
	}
	return client
}

// nat64 is the prefix of IPv4 addresses in a network without IPv4 (RFC 6052 section 2.1).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// budgetsOf returns the budgets of a client's address, of the networks around it, and of all clients.
// An IPv6 /64 counts as one address, because a subscriber chooses the other bits. A client without an
// IP address has no networks.
func budgetsOf(client string) []budget {
	ip, err := netip.ParseAddr(client)
	if err != nil {
		return []budget{{"client " + client, addressBurst, addressEvery}, allClients}
	}
	if ip = ip.Unmap().WithZone(""); nat64.Contains(ip) {
		ip, _ = netip.AddrFromSlice(ip.AsSlice()[12:])
	}
	network := func(bits, burst int, every time.Duration) budget {
		prefix, _ := ip.Prefix(bits) // the bits fit the address
		return budget{prefix.String(), burst, every}
	}
	if ip.Is4() {
		return []budget{network(32, addressBurst, addressEvery), network(24, siteBurst, siteEvery), network(16, regionBurst, regionEvery), allClients}
	}
	return []budget{
		network(64, addressBurst, addressEvery), network(56, siteBurst, siteEvery), network(48, regionBurst, regionEvery),
		network(32, carrierBurst, carrierEvery), allClients,
	}
}

// A device cookie marks a browser after a login (OWASP, "Slow Down Online Guessing Attacks with Device
// Cookies"). It is not a login. The browser gets its own budget, so that an attack from elsewhere does
// not lock it out. Another password hash invalidates the cookie.
const (
	deviceCookie   = "apikey_admin_device"
	deviceLifetime = 180 * 24 * time.Hour
)

// budgets returns the budgets of a login.
func (h *dashboard) budgets(r *http.Request) []budget {
	for _, name := range cookieNames(deviceCookie) {
		cookie, err := r.Cookie(name)
		if err != nil {
			continue
		}
		if device, ok := h.openDevice(cookie.Value); ok {
			return []budget{{"device " + device, addressBurst, addressEvery}}
		}
	}
	return budgetsOf(h.client(r))
}

// markDevice marks a browser after a login.
func (h *dashboard) markDevice(w http.ResponseWriter, r *http.Request) {
	cookie := dashboardCookie(r, deviceCookie, h.sealDevice())
	cookie.MaxAge = int(deviceLifetime / time.Second)
	http.SetCookie(w, cookie)
}

const (
	deviceLen = 16
	stampLen  = 8
)

// sealDevice returns a new device ID and the time, authenticated by HMAC-SHA256.
func (h *dashboard) sealDevice() string {
	b := make([]byte, deviceLen+stampLen, deviceLen+stampLen+sha256.Size)
	rand.Read(b[:deviceLen]) // never fails
	binary.BigEndian.PutUint64(b[deviceLen:], uint64(h.now().Unix()))
	return base64.RawURLEncoding.EncodeToString(append(b, seal(h.deviceKey, b)...))
}

// openDevice returns the ID in the value of a device cookie that this password hash has sealed within
// the lifetime of the cookie.
func (h *dashboard) openDevice(value string) (device string, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(b) != deviceLen+stampLen+sha256.Size {
		return "", false
	}
	body, sum := b[:deviceLen+stampLen], b[deviceLen+stampLen:]
	age := h.now().Sub(time.Unix(int64(binary.BigEndian.Uint64(body[deviceLen:])), 0))
	return base64.RawURLEncoding.EncodeToString(body[:deviceLen]), hmac.Equal(sum, seal(h.deviceKey, body)) && age <= deviceLifetime
}

// seal returns the HMAC-SHA256 of b.
func seal(key, b []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(b)
	return mac.Sum(nil)
}

// securePrefix makes browsers refuse a cookie of this name unless TLS carries it (RFC 6265bis section
// 4.1.3.1), so that an attacker on the network cannot plant one. The prefix __Host- would need the
// Path "/", which would show the cookie to every other handler of the origin.
const securePrefix = "__Secure-"

// cookieNames returns the names that a cookie may have, the name over TLS first.
func cookieNames(name string) []string { return []string{securePrefix + name, name} }

// overTLS reports whether the browser that sends a form sees the dashboard over TLS. Behind a proxy
// that terminates TLS, the Origin shows it, which a page cannot forge.
func overTLS(r *http.Request) bool {
	return r.TLS != nil || strings.HasPrefix(r.Header.Get("Origin"), "https://")
}

// dashboardCookie returns a cookie that only the dashboard gets. It has no Path: login and logout set
// it, so browsers take the folder of their URL, which is the dashboard under any prefix. SameSite is
// Lax, so that a link to a key from a chat works. A GET changes nothing, and browsers send forms of
// other sites without the cookie.
func dashboardCookie(r *http.Request, name, value string) *http.Cookie {
	cookie := &http.Cookie{Name: name, Value: value, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: overTLS(r)}
	if cookie.Secure {
		cookie.Name = securePrefix + name
	}
	return cookie
}
