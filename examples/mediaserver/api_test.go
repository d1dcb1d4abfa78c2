package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/cloudbox/autoscan"
	"github.com/cloudbox/autoscan/targets/emby"
	"github.com/cloudbox/autoscan/targets/jellyfin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	ours "github.com/latchkey-dev/apikey/emby"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

// newTestAPI returns the API of http://server and a key with ScopeManage.
func newTestAPI(t *testing.T) (api http.Handler, key string) {
	t.Helper()
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{Sources: ours.Sources()})
	require.NoError(t, err)
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	secret, _, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Administrator", Scopes: []string{manage.ScopeManage}})
	require.NoError(t, err)
	keys, err := newKeys(issuer, false)
	require.NoError(t, err)
	return newHandler(auth, keys, http.NotFoundHandler(), "http://server"), secret.Reveal()
}

// captureLog redirects the log of this process to log until the end of the test, which must not be
// parallel.
func captureLog(t *testing.T) (log *strings.Builder) {
	log = &strings.Builder{}
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return log
}

func TestResponses(t *testing.T) {
	const public = `"LocalAddress":"http://server","ServerName":"Example","Version":"10.11.0","ProductName":"Media server example",` +
		`"OperatingSystem":"` + runtime.GOOS + `","Id":"0123456789abcdef0123456789abcdef","StartupWizardCompleted":true`
	captureLog(t)
	api, key := newTestAPI(t)
	for target, want := range map[string]string{
		"/System/Info/Public":             `{` + public + `}`,
		"/System/Info":                    `{` + public + `,"HasPendingRestart":false,"IsShuttingDown":false}`,
		"/Library/SelectableMediaFolders": `[{"Name":"Movies","Id":"1","SubFolders":[{"Name":"movies","Path":"/media/movies","Id":"2"}]}]`,
		"/Library/VirtualFolders":         `[{"Name":"Movies","ItemId":"1","Locations":["/media/movies"]}]`,
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", target, nil)
		r.Header.Set("X-Emby-Token", key)
		api.ServeHTTP(w, r)
		assert.Equal(t, http.StatusOK, w.Code, target)
		assert.Equal(t, "application/json", w.Header().Get("Content-Type"), target)
		assert.JSONEq(t, want, w.Body.String(), target)
	}
}

func TestUpdatesFromAutoscan(t *testing.T) {
	log := captureLog(t)
	api, key := newTestAPI(t)
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	one, err := emby.New(emby.Config{URL: server.URL, Token: key})
	require.NoError(t, err)
	other, err := jellyfin.New(jellyfin.Config{URL: server.URL, Token: key})
	require.NoError(t, err)
	require.NoError(t, one.Scan(autoscan.Scan{Folder: "/media/movies/Metropolis"}))
	require.NoError(t, other.Scan(autoscan.Scan{Folder: "/media/movies/Nosferatu"}))
	server.Close() // ends concurrent writes to the log
	assert.Contains(t, log.String(), "msg=library path=/media/movies/Metropolis")
	assert.Contains(t, log.String(), "msg=library path=/media/movies/Nosferatu")
	assert.Equal(t, 2, strings.Count(log.String(), "method=POST uri=/Library/Media/Updated status=204"))
}

func TestMalformedUpdateIsRefused(t *testing.T) {
	log := captureLog(t)
	api, key := newTestAPI(t)
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/Library/Media/Updated", strings.NewReader("Updates"))
	r.Header.Set("X-Emby-Token", key)
	api.ServeHTTP(w, r)
	assert.Equal(t, http.StatusBadRequest, w.Code)
	assert.Contains(t, log.String(), "method=POST uri=/Library/Media/Updated status=400")
}
