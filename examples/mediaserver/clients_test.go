package main

import (
	"encoding/json"
	"io"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/cloudbox/autoscan"
	"github.com/cloudbox/autoscan/targets/emby"
	"github.com/cloudbox/autoscan/targets/jellyfin"
	client "github.com/sj14/jellyfin-go/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// jellyfinGo returns a client, configured as in the README of jellyfin-go.
func jellyfinGo(s server, key string) *client.APIClient {
	return client.NewAPIClient(&client.Configuration{
		Servers:       client.ServerConfigurations{{URL: s.url}},
		DefaultHeader: map[string]string{"Authorization": `MediaBrowser Token="` + key + `"`},
	})
}

// manager issues a key with ScopeManage from the command line.
func manager(t *testing.T, dsn string) string {
	t.Helper()
	out := mediaserver(t, "-db", dsn, "-issue", "Administrator", "-scopes", "apikeys:manage")
	key := regexp.MustCompile(`ak_[0-9A-Za-z]{36}`).FindString(out)
	require.NotEmpty(t, key, out)
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
	var created struct{ AccessToken string }
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(body, &created))

	keys, _, err := admin.ApiKeyAPI.GetKeys(t.Context()).Execute()
	require.NoError(t, err)
	assert.EqualValues(t, 3, keys.GetTotalRecordCount())
	require.Len(t, keys.Items, 3)
	item := keys.Items[2] // the last is the newest
	assert.Equal(t, "Home hub", item.GetAppName())
	assert.NotZero(t, item.GetId())
	assert.False(t, item.GetDateCreated().IsZero())
	assert.Empty(t, item.GetAccessToken(), "AccessToken in a list")
	assert.Equal(t, s.id, keys.Items[0].GetDeviceId())

	hub := jellyfinGo(s, created.AccessToken)
	_, _, err = hub.SystemAPI.GetSystemInfo(t.Context()).Execute()
	require.NoError(t, err, "the new key works")
	_, refused, err := hub.ApiKeyAPI.GetKeys(t.Context()).Execute()
	require.Error(t, err)
	assert.Equal(t, 403, refused.StatusCode, "the new key manages no keys")

	_, err = admin.ApiKeyAPI.RevokeKey(t.Context(), created.AccessToken).Execute()
	require.NoError(t, err)
	_, refused, err = hub.SystemAPI.GetSystemInfo(t.Context()).Execute()
	require.Error(t, err)
	assert.Equal(t, 401, refused.StatusCode, "a revoked key is refused at once")

	_, err = admin.ApiKeyAPI.RevokeKey(t.Context(), s.id).Execute()
	require.NoError(t, err)
	status, _ := s.get(t, "/System/Info", s.key)
	assert.Equal(t, 401, status, "revocation by the ID from the list")
}

// Jellyfin responds to the creation of a key with an empty 204. Setup wizards, a Terraform provider
// and many scripts therefore use the last item of the list as the new key.
func TestShowNewKeysShowsANewKeyOnceMore(t *testing.T) {
	t.Parallel()
	dsn := filepath.Join(t.TempDir(), "keys.db")
	s := first(t, dsn, "-show-new-keys")
	admin := jellyfinGo(s, manager(t, dsn))
	last := func() string {
		keys, _, err := admin.ApiKeyAPI.GetKeys(t.Context()).Execute()
		require.NoError(t, err)
		require.NotEmpty(t, keys.Items)
		return keys.Items[len(keys.Items)-1].GetAccessToken()
	}
	_, err := admin.ApiKeyAPI.CreateKey(t.Context()).App("Wizard").Execute()
	require.NoError(t, err)
	key := last()
	_, _, err = jellyfinGo(s, key).SystemAPI.GetSystemInfo(t.Context()).Execute()
	require.NoError(t, err, "the last item is the new key")
	assert.Empty(t, last(), "a second list does not show it")

	_, err = admin.ApiKeyAPI.RevokeKey(t.Context(), key).Execute()
	require.NoError(t, err)
	status, _ := s.get(t, "/System/Info", key)
	assert.Equal(t, 401, status, "revocation by the key")
}

func TestAutoscanWorksUntilItsKeyIsRevoked(t *testing.T) {
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
			var created struct{ AccessToken string }
			require.NoError(t, json.NewDecoder(res.Body).Decode(&created))

			target, err := connect(created.AccessToken)
			require.NoError(t, err, "connecting lists the libraries")
			require.NoError(t, target.Available())
			require.NoError(t, target.Scan(autoscan.Scan{Folder: "/media/movies/Metropolis"}))

			_, err = admin.ApiKeyAPI.RevokeKey(t.Context(), created.AccessToken).Execute()
			require.NoError(t, err)
			assert.ErrorIs(t, target.Available(), autoscan.ErrFatal)
			assert.ErrorIs(t, target.Scan(autoscan.Scan{Folder: "/media/movies/Metropolis"}), autoscan.ErrFatal)
			_, err = connect(created.AccessToken)
			assert.ErrorContains(t, err, "401")
		})
	}
}
