package main

import (
	"encoding/json"
	"net/http"
	"runtime"
)

// publicInfo is the PublicSystemInfo of Emby and Jellyfin.
type publicInfo struct {
	LocalAddress           string
	ServerName             string
	Version                string
	ProductName            string
	OperatingSystem        string
	ID                     string `json:"Id"`
	StartupWizardCompleted bool
}

// systemInfo is the SystemInfo of Emby and Jellyfin. It needs a key.
type systemInfo struct {
	publicInfo
	HasPendingRestart bool
	IsShuttingDown    bool
}

// newInfo describes this server, whose base URL is url.
func newInfo(url string) publicInfo {
	return publicInfo{
		LocalAddress:           url,
		ServerName:             "Example",
		Version:                "10.11.0",
		ProductName:            "Media server example",
		OperatingSystem:        runtime.GOOS,
		ID:                     "0123456789abcdef0123456789abcdef",
		StartupWizardCompleted: true,
	}
}

// serveJSON returns a handler that responds with a value as JSON.
func serveJSON(value any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(value)
	})
}
