package routes

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// hostFields name a host that some services put in the place of Host.
var hostFields = []string{"X-Forwarded-Host", "X-Original-Host", "X-Host", "X-Http-Host-Override", "Forwarded"}

// hostsOf returns the host of a request, and each host that a rule names and that a service may put in its place. It
// returns false if the request has no plain host.
func (t *Table) hostsOf(r *http.Request) ([]string, bool) {
	host, ok := plainHost(r.Host)
	hosts := []string{host}
	for _, field := range hostFields {
		for _, line := range r.Header[field] {
			for element := range strings.FieldsFuncSeq(line, func(c rune) bool { return c == ',' || c == ';' }) {
				element = strings.TrimSpace(element)
				if name, value, found := strings.Cut(element, "="); found && strings.EqualFold(name, "host") { // RFC 7239 section 5.3
					element = strings.Trim(value, `"`)
				}
				if other, ok := plainHost(element); ok && t.hosts[other] && !slices.Contains(hosts, other) {
					hosts = append(hosts, other)
				}
			}
		}
	}
	return hosts, ok
}

// plainHost returns a host in lower case, without its port and the dot at its end. It returns false for an empty or
// malformed host.
func plainHost(host string) (string, bool) {
	u, err := url.Parse("http://" + host)
	if err != nil || u.Host != host || u.User != nil {
		return "", false
	}
	name := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	return name, name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_:") == ""
}
