package envoy

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
)

var errRequest = errors.New("envoy: the attributes are not those of one HTTP request")

// request returns the request of the client as a proxy on the address peer sends it with the convention
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
		source = "unknown" // a client at a Unix socket, to which no key with networks is open
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

// headerOf returns the header, which is in one of two fields. Envoy joins the lines of a name in the
// first, and keeps them in the second. The pseudo-header fields are attributes of their own.
func headerOf(h *authv3.AttributeContext_HttpRequest) (http.Header, error) {
	header := http.Header{}
	raw := h.GetHeaderMap().GetHeaders()
	if h == nil || len(raw) > 0 && len(h.GetHeaders()) > 0 {
		return nil, errRequest
	}
	for name, value := range h.GetHeaders() {
		if !strings.HasPrefix(name, ":") {
			header.Add(name, value)
		}
	}
	for _, line := range raw {
		if strings.HasPrefix(line.GetKey(), ":") {
			continue
		}
		value := string(line.GetRawValue())
		if value == "" {
			value = line.GetValue()
		}
		header.Add(line.GetKey(), value)
	}
	return header, nil
}
