package main

import (
	"encoding/json"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cloudbox/autoscan"
	"github.com/cloudbox/autoscan/targets/emby"
	"github.com/cloudbox/autoscan/targets/jellyfin"
	client "github.com/sj14/jellyfin-go/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// jellyfinGo is a client as the README of jellyfin-go makes one.
func jellyfinGo(s server, key string) *client.APIClient {
	return client.NewAPIClient(&client.Configuration{
		Servers:       client.ServerConfigurations{{URL: s.url}},
		DefaultHeader: map[string]string{"Authorization": `MediaBrowser Token="` + key + `"`},
	})
}

// manager issues a key that may manage keys, from the command line.
func manager(t *testing.T, dsn string) string {
	t.Helper()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, "", dsn, "Administrator", "apikeys:manage", ""))
	key := regexp.MustCompile(`ak_[0-9A-Za-z]{36}`).FindString(out.String())
	require.NotEmpty(t, key, out.String())
	return key
}

func TestJellyfinGoManagesKeys(t *testing.T) {
	t.Parallel()
	dsn := filepath.Join(t.TempDir(), "keys.db")
	s := first(t, dsn)
	admin := jellyfinGo(s, manager(t, dsn))

	public, _, err := jellyfinGo(s, "").SystemAPI.GetPublicSystemInfo(t.Context()).Execute()
	require.NoError(t, err)
	assert.Equal(t, "Example", public.GetServerName())
	info, _, err := admin.SystemAPI.GetSystemInfo(t.Context()).Execute()
	require.NoError(t, err)
	assert.Equal(t, public.GetId(), info.GetId())

	res, err := admin.ApiKeyAPI.CreateKey(t.Context()).App("Home hub").Execute()
	require.NoError(t, err)
	var made struct{ AccessToken string }
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(body, &made))

	keys, _, err := admin.ApiKeyAPI.GetKeys(t.Context()).Execute()
	require.NoError(t, err)
	assert.EqualValues(t, 3, keys.GetTotalRecordCount())
	require.Len(t, keys.Items, 3)
	item := keys.Items[0]
	assert.Equal(t, "Home hub", item.GetAppName())
	assert.NotZero(t, item.GetId())
	assert.False(t, item.GetDateCreated().IsZero())
	assert.NotEqual(t, made.AccessToken, item.GetAccessToken(), "a list shows no key")

	hub := jellyfinGo(s, made.AccessToken)
	_, _, err = hub.SystemAPI.GetSystemInfo(t.Context()).Execute()
	require.NoError(t, err, "the key that was made works")
	_, refused, err := hub.ApiKeyAPI.GetKeys(t.Context()).Execute()
	require.Error(t, err)
	assert.Equal(t, 403, refused.StatusCode, "and manages no keys")

	_, err = admin.ApiKeyAPI.RevokeKey(t.Context(), made.AccessToken).Execute()
	require.NoError(t, err)
	_, refused, err = hub.SystemAPI.GetSystemInfo(t.Context()).Execute()
	require.Error(t, err)
	assert.Equal(t, 401, refused.StatusCode, "revoked, it is refused at once")

	_, err = admin.ApiKeyAPI.RevokeKey(t.Context(), s.id).Execute()
	require.NoError(t, err)
	status, _ := s.get(t, "/System/Info", s.key)
	assert.Equal(t, 401, status, "revoked by the ID that a list shows")
}

func TestAutoscanScans(t *testing.T) {
	t.Parallel()
	dsn := filepath.Join(t.TempDir(), "keys.db")
	s := first(t, dsn)
	admin := jellyfinGo(s, manager(t, dsn))
	for name, connect := range map[string]func(key string) (autoscan.Target, error){
		"emby": func(key string) (autoscan.Target, error) { return emby.New(emby.Config{URL: s.url, Token: key}) },
		"jellyfin": func(key string) (autoscan.Target, error) {
			return jellyfin.New(jellyfin.Config{URL: s.url, Token: key})
		},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := admin.ApiKeyAPI.CreateKey(t.Context()).App("autoscan").Execute()
			require.NoError(t, err)
			var made struct{ AccessToken string }
			require.NoError(t, json.NewDecoder(res.Body).Decode(&made))

			target, err := connect(made.AccessToken)
			require.NoError(t, err, "the libraries are listed")
			require.NoError(t, target.Available())
			require.NoError(t, target.Scan(autoscan.Scan{Folder: "/media/movies/Metropolis"}))

			_, err = admin.ApiKeyAPI.RevokeKey(t.Context(), made.AccessToken).Execute()
			require.NoError(t, err)
			assert.ErrorIs(t, target.Available(), autoscan.ErrFatal)
			assert.ErrorIs(t, target.Scan(autoscan.Scan{Folder: "/media/movies/Metropolis"}), autoscan.ErrFatal)
			_, err = connect(made.AccessToken)
			assert.ErrorContains(t, err, "401")
		})
	}
}
