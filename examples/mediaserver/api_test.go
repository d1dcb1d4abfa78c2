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
	"github.com/latchkey-dev/apikey/memstore"
)

// newTestAPI returns the API at http://server, and the key of an administrator.
func newTestAPI(t *testing.T) (api http.Handler, key string) {
	t.Helper()
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{Sources: ours.Sources()})
	require.NoError(t, err)
	issuer, err := apikey.NewIssuer(store, nil)
	require.NoError(t, err)
	secret, _, err := issuer.Issue(t.Context(), apikey.Key{Name: "Administrator", Scopes: []string{ours.ScopeManage}})
	require.NoError(t, err)
	return newAPI(auth, issuer, "http://server"), secret.Reveal()
}

// logged makes log of what this process logs, until the test ends. It must not be parallel.
func logged(t *testing.T) (log *strings.Builder) {
	log = &strings.Builder{}
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return log
}

func TestWhatIsAnswered(t *testing.T) {
	const public = `"LocalAddress":"http://server","ServerName":"Example","Version":"10.11.0","ProductName":"Media server example",` +
		`"OperatingSystem":"` + runtime.GOOS + `","Id":"0123456789abcdef0123456789abcdef","StartupWizardCompleted":true`
	logged(t)
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

func TestWhatAutoscanScansArrives(t *testing.T) {
	log := logged(t)
	api, key := newTestAPI(t)
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	one, err := emby.New(emby.Config{URL: server.URL, Token: key})
	require.NoError(t, err)
	other, err := jellyfin.New(jellyfin.Config{URL: server.URL, Token: key})
	require.NoError(t, err)
	require.NoError(t, one.Scan(autoscan.Scan{Folder: "/media/movies/Metropolis"}))
	require.NoError(t, other.Scan(autoscan.Scan{Folder: "/media/movies/Nosferatu"}))
	server.Close() // so that nobody writes to the log
	assert.Contains(t, log.String(), "msg=library path=/media/movies/Metropolis")
	assert.Contains(t, log.String(), "msg=library path=/media/movies/Nosferatu")
	assert.Equal(t, 2, strings.Count(log.String(), "method=POST uri=/Library/Media/Updated status=204"))
}

func TestAnUpdateThatIsNoJSONIsRefused(t *testing.T) {
	log := logged(t)
	api, key := newTestAPI(t)
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/Library/Media/Updated", strings.NewReader("Updates"))
	r.Header.Set("X-Emby-Token", key)
	api.ServeHTTP(w, r)
	assert.Equal(t, http.StatusBadRequest, w.Code)
	assert.Contains(t, log.String(), "method=POST uri=/Library/Media/Updated status=400")
}

func TestTheAccessLogHasNoKeys(t *testing.T) {
	log := logged(t)
	api, key := newTestAPI(t)
	for _, test := range []struct {
		request string
		status  int
		line    string
	}{
		{"GET /emby/auth/keys?a=1&ApiKey={K}", 200, `method=GET uri="/emby/auth/keys?a=1" status=200`},
		{"GET /nothing/{K}?api_key={K}", 404, `method=GET uri=/nothing/REDACTED status=404`},
		{"GET /emby/system/info", 401, `method=GET uri=/emby/system/info status=401`},
		{"DELETE /emby/emby/auth/keys/{K}?api_key={K}", 404, `method=DELETE uri=/emby/Auth/Keys/REDACTED status=404`},
		{"DELETE /emby/auth/keys/{K}?api_key={K}", 204, `method=DELETE uri=/Auth/Keys/REDACTED status=204`},
	} {
		method, target, _ := strings.Cut(strings.ReplaceAll(test.request, "{K}", key), " ")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequest(method, target, nil))
		assert.Equal(t, test.status, w.Code, w.Body)
		assert.Contains(t, log.String(), test.line)
	}
	assert.NotContains(t, log.String(), "ak_")
}
