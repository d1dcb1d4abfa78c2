package main

import (
	"encoding/json"
	"net/http"
	"runtime"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/emby"
)

// publicInfo is what anybody may know of this server.
type publicInfo struct {
	LocalAddress           string
	ServerName             string
	Version                string
	ProductName            string
	OperatingSystem        string
	ID                     string `json:"Id"`
	StartupWizardCompleted bool
}

// systemInfo is for callers with a key.
type systemInfo struct {
	publicInfo
	HasPendingRestart bool
	IsShuttingDown    bool
}

// A route is a pattern of a ServeMux and what answers it.
type route struct {
	pattern string
	handler http.Handler
}

// publicRoutes are for everybody, privateRoutes for callers with a key.
func publicRoutes(info publicInfo) []route {
	return []route{{"GET /System/Info/Public", answer(info)}}
}

func privateRoutes(info publicInfo, issuer *apikey.Issuer) []route {
	keys := emby.Keys(issuer)
	return []route{
		{"GET /System/Info", answer(systemInfo{publicInfo: info})},
		{"GET /Library/SelectableMediaFolders", answer(mediaFolders)},
		{"GET /Library/VirtualFolders", answer(virtualFolders)},
		{"POST /Library/Media/Updated", http.HandlerFunc(updated)},
		{"/Auth/Keys", keys},
		{"/Auth/Keys/", keys},
	}
}

// newAPI answers at url as a media server does. What is not public needs a key.
func newAPI(auth *apikey.Middleware, issuer *apikey.Issuer, url string) http.Handler {
	info := publicInfo{
		LocalAddress:           url,
		ServerName:             "Example",
		Version:                "10.11.0",
		ProductName:            "Media server example",
		OperatingSystem:        runtime.GOOS,
		ID:                     "0123456789abcdef0123456789abcdef",
		StartupWizardCompleted: true,
	}
	var patterns []string
	register := func(mux *http.ServeMux, routes []route) {
		for _, r := range routes {
			mux.Handle(r.pattern, r.handler)
			patterns = append(patterns, r.pattern)
		}
	}
	private, mux := http.NewServeMux(), http.NewServeMux()
	register(private, privateRoutes(info, issuer))
	register(mux, publicRoutes(info))
	mux.Handle("/", auth.Handler(private))
	return emby.Paths(auth.Conceal(accessLog(auth, mux)), patterns...)
}

// answer serves a value as JSON.
func answer(value any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(value)
	})
}
