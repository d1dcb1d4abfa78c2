package envoy

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
)

var errRequest = errors.New("envoy: the attributes do not describe one HTTP request")

// request returns the subrequest that a proxy at the address peer would send over HTTP, in the convention
// RequestLine.
func request(ctx context.Context, peer string, check *authv3.CheckRequest) (*http.Request, error) {
	attributes := check.GetAttributes()
	h := attributes.GetRequest().GetHttp()
	header, err := headerOf(h)
	if err != nil {
		return nil, err
	}
	source := attributes.GetSource().GetAddress().GetSocketAddress().GetAddress()
	if source == "" {
		source = "unknown" // a client at a Unix socket; without an address, keys with networks are refused
	}
	// Envoy may have appended this address already. Restore reads the field from the right.
	header.Add("X-Forwarded-For", source)
	r := &http.Request{
		Method: h.GetMethod(), RequestURI: h.GetPath(), Host: h.GetHost(), URL: &url.URL{},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: http.NoBody, RemoteAddr: peer,
	}
	return r.WithContext(ctx), nil
}

// headerOf returns the header of a request. Envoy sends it in one of two attributes. Headers joins the lines
// of a name, and HeaderMap keeps them. Pseudo-header fields have attributes of their own.
func headerOf(h *authv3.AttributeContext_HttpRequest) (http.Header, error) {
	header := http.Header{}
	raw := h.GetHeaderMap().GetHeaders()
	if h == nil || len(raw) > 0 && len(h.GetHeaders()) > 0 {
		return nil, errRequest
	}
	for name, value := range h.GetHeaders() {
		if err := add(header, name, value); err != nil {
			return nil, err
		}
	}
	for _, line := range raw {
		value := string(line.GetRawValue())
		if value == "" {
			value = line.GetValue()
		}
		if err := add(header, line.GetKey(), value); err != nil {
			return nil, err
		}
	}
	return header, nil
}

// add adds a line unless it is a pseudo-header field. It refuses characters that fields cannot have, because
// the answer would contain them if it changes the field.
func add(header http.Header, name, value string) error {
	if strings.HasPrefix(name, ":") {
		return nil
	}
	invisible := func(c rune) bool { return c <= ' ' || c >= 0x7F }
	if name == "" || strings.ContainsFunc(name, invisible) || strings.ContainsAny(value, "\x00\r\n") {
		return errRequest
	}
	header.Add(name, value)
	return nil
}
