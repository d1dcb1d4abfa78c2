package manageapi

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/latchkey-dev/apikey"
)

// An endpoint answers a request, or returns an error and has not written anything.
type endpoint func(*call) error

// routes are the endpoints by path and method. The package does not use http.ServeMux, because it answers
// in plain text and redirects to paths that lack the prefix of the mount.
var routes = map[string]map[string]endpoint{
	"/keys":              {"GET": managed((*call).list), "POST": managed((*call).create)},
	"/keys/{id}":         {"GET": managed((*call).get), "PATCH": managed((*call).update), "DELETE": managed((*call).revoke)},
	"/keys/{id}/rotate":  {"POST": managed((*call).rotate)},
	"/keys/{id}/suspend": {"POST": managed((*call).suspend)},
	"/keys/{id}/resume":  {"POST": managed((*call).resume)},
	"/keys/{id}/revoke":  {"POST": managed((*call).revoke)},
	"/keys/{id}/history": {"GET": managed((*call).history)},
	"/keys/{id}/use":     {"GET": managed((*call).use)},
	"/history":           {"GET": managed((*call).history)},
	"/revoke-all":        {"POST": managed((*call).revokeAll)},
	"/identify":          {"POST": managed((*call).identify)},
	"/whoami":            {"GET": (*call).whoami},
	"/openapi.json":      {"GET": (*call).describe},
}

// managed returns an endpoint that opens a session first.
func managed(e endpoint) endpoint {
	return func(c *call) error {
		if err := c.open(); err != nil {
			return err
		}
		return e(c)
	}
}

func (c *call) route() error {
	// An encoded slash does not separate segments, because a proxy with rules for paths may not decode it.
	parts := strings.Split(c.r.URL.EscapedPath(), "/")
	if len(parts) > 2 && parts[1] == "keys" {
		c.id, parts[2] = parts[2], "{id}"
		if !apikey.ValidID(c.id) {
			return notFound // an empty ID would select the history of all keys
		}
	}
	methods, ok := routes[strings.Join(parts, "/")]
	if !ok {
		return noEndpoint
	}
	method := c.r.Method
	if method == http.MethodHead {
		method = http.MethodGet // net/http drops the body
	}
	serve, ok := methods[method]
	if !ok {
		c.w.Header().Set("Allow", allowed(methods))
		return wrongMethod
	}
	if c.crossOrigin.Check(c.r) != nil {
		return crossOrigin
	}
	return serve(c)
}

// allowed returns the value of Allow for the methods of a path.
func allowed(methods map[string]endpoint) string {
	list := slices.Sorted(maps.Keys(methods))
	if methods[http.MethodGet] != nil {
		list = append(list, http.MethodHead)
	}
	return strings.Join(list, ", ")
}
