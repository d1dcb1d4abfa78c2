package main

import (
	"log/slog"
	"net/http"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/emby"
)

// A route is a pattern of a ServeMux and its handler.
type route struct {
	pattern string
	handler http.Handler
}

// publicRoutes need no key.
func publicRoutes(info publicInfo) []route {
	return []route{{"GET /System/Info/Public", serveJSON(info)}}
}

// privateRoutes need a key.
func privateRoutes(info publicInfo, keys http.Handler) []route {
	return []route{
		{"GET /System/Info", serveJSON(systemInfo{publicInfo: info})},
		{"GET /Library/SelectableMediaFolders", serveJSON(mediaFolders)},
		{"GET /Library/VirtualFolders", serveJSON(virtualFolders)},
		{"POST /Library/Media/Updated", http.HandlerFunc(updated)},
		{"/Auth/Keys", keys},
		{"/Auth/Keys/", keys},
	}
}

// newHandler returns the API of a media server at url, and the dashboard at /admin/.
func newHandler(auth *apikey.Middleware, keys, dashboard http.Handler, url string) http.Handler {
	var patterns []string
	register := func(mux *http.ServeMux, routes ...route) {
		for _, r := range routes {
			mux.Handle(r.pattern, r.handler)
			patterns = append(patterns, r.pattern)
		}
	}
	private, api, site := http.NewServeMux(), http.NewServeMux(), http.NewServeMux()
	register(private, privateRoutes(newInfo(url), keys)...)
	register(api, publicRoutes(newInfo(url))...)
	api.Handle("/", auth.Handler(private))
	register(site, route{"/admin/", http.StripPrefix("/admin", dashboard)})
	site.Handle("/", crossOrigin(api))

	// A ServeMux redirects paths such as //System/Info, and the redirect repeats the query. Paths
	// comes first, because it avoids most redirects. Conceal removes the key from the query before
	// the access log and the ServeMux see it.
	return emby.Paths(auth.Conceal(accessLog(auth, site)), patterns...)
}

// accessLog logs each request. Paths and Conceal, around it, have removed the key from the path and the
// query. RedactURI redacts keys elsewhere in the URI.
func accessLog(auth *apikey.Middleware, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		slog.Info("request", "method", r.Method, "uri", auth.RedactURI(r.RequestURI), "status", recorder.status)
	})
}

// A statusRecorder records the status of a response.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap returns the writer of the server for http.ResponseController.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
