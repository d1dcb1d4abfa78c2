package admin

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/alexedwards/scs/v2"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
	"github.com/latchkey-dev/apikey/manage"
)

// Options configures New. Set either PasswordHash or Authorize.
type Options struct {
	// PasswordHash is the hash of the administrator's password, as HashPassword returns it: argon2id in
	// PHC string format. Hashes of other programs are accepted if their parameters reach the minimum of
	// the OWASP Password Storage Cheat Sheet. A login with a hash of p > 1 uses p processors, at most 4.
	// Changing the hash ends all sessions.
	//
	// Processes that share Sessions should have the same hash. Hashes of one password differ in their
	// salt, so a process cannot find out that another hash is of the same password. With different hashes,
	// each process asks for the password once in a session.
	PasswordHash apikey.Secret

	// Authorize authenticates a request and returns what the caller may do, for applications with their
	// own login. Pages and audit trails show the Actor. A request gets 403 for an error or an Access
	// that [manage.Desk.As] refuses, and 503 for an error that wraps [apikey.ErrUnavailable]. The
	// dashboard logs the error and does not show it. Authorize is called concurrently, once for each page.
	//
	// Set AllowedHosts if Authorize trusts the address of a client, or anything else that every page in
	// a browser shares. Otherwise an attacker can point a name at the dashboard's address (DNS rebinding),
	// and a page under that name can read the dashboard's pages, including new keys.
	Authorize func(*http.Request) (manage.Access, error)

	// Sessions is the application's session manager, for sessions that outlive the process or that
	// several processes share. Its LoadAndSave may wrap the dashboard. Set its Cookie.Secure, because
	// the dashboard does not change its cookie. Nil keeps sessions in memory for at most 12 hours, and
	// for an hour without a request. Sessions needs PasswordHash.
	Sessions *scs.SessionManager

	// Name is the name of the service in the head of each page, at most 100 characters.
	Name string

	// Home is the URL of the service's own pages, a path such as "/" or an http or https URL. Each page
	// of the dashboard links to it. "" shows no link.
	Home string

	// Layout writes a page of the dashboard into a page of the application, with the application's
	// header, navigation and footer. It writes p.Head into the head of the document, and p.Body in the
	// place of the content. It is called for every page, including the login and errors. An error is
	// logged, and the client gets 500. Nil shows the page in the dashboard's own frame.
	//
	// The Content-Security-Policy permits style sheets, scripts, images and fonts of the same origin and
	// nothing inline. A Layout may replace it through w.Header(). The page may show a new key, so load
	// only scripts that may read it.
	Layout func(w http.ResponseWriter, r *http.Request, p Page) error

	// Example is a command that uses a key; the word KEY stands for the key. "" shows a curl command
	// with the header X-API-Key and a placeholder for the host. The dashboard does not take the host
	// from the request, because a client chooses it.
	Example string

	// Scopes are the scopes that the forms offer to a client with AnyScope. Such a client may type others. If the
	// Issuer has a catalogue (apikey.IssuerOptions.Scopes), the forms offer the catalogue instead, and
	// keys can get no other scopes. A client without AnyScope may choose among the scopes of its Access.
	Scopes []string

	// Limiter is the Limiter that enforces the limits of the keys. The page of a key shows how many requests
	// each limit still permits. Nil shows only the limits.
	Limiter *limit.Limiter

	// Translate returns the translation of a text of the pages, such as "Revoke key?"; "" keeps the
	// English text. A text for a value holds a verb of package fmt, such as "%d days ago", and its
	// translation must hold the same verbs. New translates each text once. Nil keeps English.
	Translate func(english string) string

	// Lang is the language of the pages, a BCP 47 tag such as "de" or "pt-BR". "" means "en".
	Lang string

	// Dir is the direction of writing of the pages, "ltr" or "rtl". "" means "ltr".
	Dir string

	// TrustedOrigins are the dashboard's origins as browsers see them, such as
	// "https://keys.example.com". They are needed behind a proxy that changes the Host, for browsers
	// that do not send Sec-Fetch-Site. See http.CrossOriginProtection.AddTrustedOrigin.
	TrustedOrigins []string

	// AllowedHosts are the values of Host that the dashboard answers, such as "keys.example.com" or
	// "192.0.2.1:8096", ignoring case. Other requests get 421. Behind a proxy that changes the
	// Host, list the hosts that the proxy sends. Empty allows any host.
	AllowedHosts []string

	// ClientAddr returns the IP address of the client of a request, with or without a port. Nil uses
	// RemoteAddr. Behind a proxy RemoteAddr is the proxy's address, so ten wrong passwords from anywhere
	// would lock all clients out. Then return the address that your proxy vouches for.
	//
	// The address limits wrong passwords. An address may send 10 in a row and one more each minute. The
	// limit is 20 in a row for an IPv4 /24 or an IPv6 /56, 40 for an IPv4 /16 or an IPv6 /48, and 80 for an
	// IPv6 /32. All clients together may send 300 in a row and one more each 10 seconds. A browser has its
	// own limit after a login.
	ClientAddr func(*http.Request) string

	// Logger logs logins at level Info, refused logins at Warn and failures of stores at Error. It never
	// gets a password, a key or a query. Nil means slog.Default().
	Logger *slog.Logger
}

func (o *Options) validate() error {
	hasHash := o.PasswordHash.Reveal() != ""
	switch {
	case !hasHash && o.Authorize == nil:
		return invalid("PasswordHash, Authorize", "neither is set, so the dashboard could not identify administrators; set one")
	case hasHash && o.Authorize != nil:
		return invalid("PasswordHash, Authorize", "both are set; set one")
	case o.Sessions != nil && o.Authorize != nil:
		return invalid("Sessions", "set with Authorize, which needs no sessions")
	case o.Sessions != nil && (o.Sessions.Store == nil || o.Sessions.Codec == nil || o.Sessions.Lifetime <= 0):
		return invalid("Sessions", "want a manager made by scs.New, with a Store, a Codec and a Lifetime")
	case utf8.RuneCountInString(o.Name) > 100 || !utf8.ValidString(o.Name):
		return invalid("Name", "want at most 100 characters of UTF-8")
	case !validHome(o.Home):
		return invalid("Home", "want a path such as / or an http or https URL without a password")
	case o.Example != "" && (len(parseExample(o.Example)) < 2 || len(o.Example) > 1000):
		return invalid("Example", "want a command of at most 1000 bytes with the word %s in place of the key", keyInExample)
	case o.Lang != "" && !languageTag.MatchString(o.Lang):
		return invalid("Lang", "%.100q: want a BCP 47 tag such as de or pt-BR", o.Lang)
	case o.Dir != "" && o.Dir != "ltr" && o.Dir != "rtl":
		return invalid("Dir", "%.100q: want ltr or rtl", o.Dir)
	}
	for _, host := range o.AllowedHosts {
		if !validHost(host) {
			return invalid("AllowedHosts", "%.100q: want a host as browsers send it, such as keys.example.com or 192.0.2.1:8096", host)
		}
	}
	for _, scope := range o.Scopes {
		key := apikey.Key{ID: "scope", Name: "scope", Scopes: []string{scope}}
		if err := key.Validate(); err != nil {
			return fmt.Errorf("admin: %w", err)
		}
	}
	return nil
}

// validHome reports whether s is the URL of a page and names its host plainly.
func validHome(s string) bool {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.User != nil || strings.Contains(s, "\\") || strings.HasPrefix(s, "//"):
		return false
	case u.Scheme == "http" || u.Scheme == "https":
		return u.Hostname() != ""
	}
	return s == "" || u.Scheme == "" && strings.HasPrefix(s, "/")
}

// validHost reports whether s is a host name or an IP address, with or without a port.
func validHost(s string) bool {
	host := s
	if name, port, err := net.SplitHostPort(s); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || port[0] == '0' {
			return false
		}
		host = strings.TrimSuffix(s, ":"+port)
		if strings.Contains(name, ":") != strings.HasPrefix(host, "[") {
			return false
		}
	}
	if strings.HasPrefix(host, "[") {
		ip, err := netip.ParseAddr(strings.TrimSuffix(host[1:], "]"))
		return err == nil && ip.Is6() && ip.Zone() == "" && strings.HasSuffix(host, "]")
	}
	return host != "" && len(host) <= 253 && !strings.ContainsFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	})
}

const (
	defaultExample = "curl -H 'X-API-Key: KEY' https://your-service.example/"
	keyInExample   = "KEY"
)

// An example is a command that uses a key, split at each place of the key.
type example []string

// parseExample splits a command at each KEY that is a whole word. X-API-KEY contains no such word.
func parseExample(command string) (e example) {
	from, at := 0, 0
	for {
		i := strings.Index(command[at:], keyInExample)
		if i < 0 {
			return append(e, command[from:])
		}
		i, at = at+i, at+i+len(keyInExample)
		before, _ := utf8.DecodeLastRuneInString(command[:i])
		after, _ := utf8.DecodeRuneInString(command[at:])
		if !inWord(before) && !inWord(after) {
			e = append(e, command[from:i])
			from = at
		}
	}
}

func inWord(r rune) bool { return r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// with returns the command with a key.
func (e example) with(key string) string { return strings.Join(e, key) }

func invalid(field, format string, args ...any) error {
	return fmt.Errorf("admin: %w", &apikey.InvalidError{Field: field, Problem: fmt.Sprintf(format, args...)})
}
