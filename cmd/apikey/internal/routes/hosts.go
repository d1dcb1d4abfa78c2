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
			for _, other := range hostsIn(line) {
				if t.hosts[other] && !slices.Contains(hosts, other) {
					hosts = append(hosts, other)
				}
			}
		}
	}
	return hosts, ok
}

// hostsIn returns every text in a line that may be a host, wherever it stands. Services search for it in different ways:
// some remove a user in front of it, or find "host=" within the name of another parameter.
func hostsIn(line string) (hosts []string) {
	line = strings.ReplaceAll(strings.ToLower(line), `\`, "") // before a character of a quoted string (RFC 9110 section 5.6.4)
	for text := range strings.FieldsFuncSeq(line, func(c rune) bool { return !strings.ContainsRune(nameCharacters, c) }) {
		if name := strings.TrimRight(text, "."); name != "" {
			hosts = append(hosts, name)
		}
	}
	return hosts
}

// nameCharacters are the characters of the name of a host in lower case.
const nameCharacters = "abcdefghijklmnopqrstuvwxyz0123456789.-_"

// plainHost returns a host in lower case, without its port and the dot at its end. It returns false for an empty or
// malformed host.
func plainHost(host string) (string, bool) {
	u, err := url.Parse("http://" + host)
	if err != nil || u.Host != host || u.User != nil {
		return "", false
	}
	name := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	return name, name != "" && strings.Trim(name, nameCharacters+":") == ""
}
