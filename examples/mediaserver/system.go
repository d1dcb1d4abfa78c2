package main

import (
	"encoding/json"
	"net/http"
	"runtime"

	"github.com/latchkey-dev/apikey"
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

// newMux routes the API, with and without the prefix /emby. What is not public needs a key.
func newMux(auth *apikey.Middleware, url string) http.Handler {
	info := publicInfo{
		LocalAddress:           url,
		ServerName:             "Example",
		Version:                "10.11.0",
		ProductName:            "Media server example",
		OperatingSystem:        runtime.GOOS,
		ID:                     "0123456789abcdef0123456789abcdef",
		StartupWizardCompleted: true,
	}
	private := http.NewServeMux()
	private.Handle("GET /System/Info", answer(systemInfo{publicInfo: info}))

	mux := http.NewServeMux()
	mux.Handle("/", auth.Handler(private))
	mux.Handle("GET /System/Info/Public", answer(info))
	mux.Handle("/emby/", http.StripPrefix("/emby", mux))
	return mux
}

// answer serves a value as JSON.
func answer(value any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(value)
	})
}
