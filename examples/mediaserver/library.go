package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
)

// maxUpdates limits the body of an update, in bytes.
const maxUpdates = 1 << 20

// A mediaFolder is a library, as clients of Emby expect it.
type mediaFolder struct {
	Name       string
	ID         string `json:"Id"`
	SubFolders []subFolder
}

type subFolder struct {
	Name, Path string
	ID         string `json:"Id"`
}

// A virtualFolder is a library, as clients of Jellyfin expect it.
type virtualFolder struct {
	Name      string
	ItemID    string `json:"ItemId"`
	Locations []string
}

// The server has one library.
var (
	mediaFolders   = []mediaFolder{{"Movies", "1", []subFolder{{"movies", "/media/movies", "2"}}}}
	virtualFolders = []virtualFolder{{"Movies", "1", []string{"/media/movies"}}}
)

// updated logs the changed files that a client reports.
func updated(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Updates []struct{ Path, UpdateType string }
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxUpdates)).Decode(&body); err != nil {
		http.Error(w, "The body must be JSON with Updates, of at most 1 MiB.", http.StatusBadRequest)
		return
	}
	for _, update := range body.Updates {
		slog.Info("library", "path", update.Path, "update", update.UpdateType)
	}
	w.WriteHeader(http.StatusNoContent)
}
