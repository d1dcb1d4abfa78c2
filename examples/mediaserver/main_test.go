package main

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/examples/internal/program"
)

func TestQuickstart(t *testing.T) {
	t.Parallel()
	p := program.Start(t, "-addr", "localhost:0")
	url := strings.TrimPrefix(p.Line("Listening on "), "Listening on ")
	key := p.Line("ak_")
	require.Regexp(t, regexp.MustCompile(`^ak_[0-9A-Za-z]{36}$`), key)
	byHeader, byQuery := p.Line("X-Emby-Token"), p.Line("api_key")

	t.Run("the curl lines it prints work", func(t *testing.T) {
		for _, line := range []string{byHeader, byQuery} {
			var info struct {
				ServerName        string
				HasPendingRestart *bool
			}
			require.NoError(t, json.Unmarshal([]byte(program.Curl(t, line)), &info))
			assert.Equal(t, "Example", info.ServerName)
			assert.NotNil(t, info.HasPendingRestart)
		}
	})
	get := func(target, key string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", url+target, nil)
		require.NoError(t, err)
		r.Header.Set("X-Emby-Token", key)
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, string(body)
	}
	for _, test := range []struct {
		name, target, key string
		status            int
	}{
		{"the key in the header", "/emby/System/Info", key, 200},
		{"the key in the query", "/emby/System/Info?api_key=" + key, "", 200},
		{"without the prefix", "/System/Info", key, 200},
		{"no key", "/emby/System/Info", "", 401},
		{"a wrong key", "/emby/System/Info", "123456789987654321", 401},
		{"a path that is not there, without a key", "/nothing", "", 401},
		{"a path that is not there, with a key", "/nothing", key, 404},
		{"what is public", "/System/Info/Public", "", 200},
		{"what is public, with the prefix", "/emby/System/Info/Public", "", 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, body := get(test.target, test.key)
			assert.Equal(t, test.status, status, body)
		})
	}
}

func TestAnAddressInUseIsToldPlainly(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), "localhost:99999", io.Discard)
	assert.ErrorContains(t, err, "99999")
}
