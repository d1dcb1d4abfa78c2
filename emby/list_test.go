package emby_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

type list struct {
	Items            []map[string]any
	TotalRecordCount int
	StartIndex       int
}

func names(l list) (all []any) {
	for _, item := range l.Items {
		all = append(all, item["AppName"])
	}
	return all
}

func TestListKeys(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	raw := s.listenKeys(t)
	raw(t, "GET /System/Info\nX-Emby-Token: {K}") // sets LastUsedAt
	res := raw(t, "GET /Auth/Keys\nX-Emby-Token: {M}")
	l := decode[list](t, res)
	assert.Equal(t, "application/json; charset=utf-8", res.Header.Get("Content-Type"))
	assert.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	assert.Equal(t, []any{"Plain", "Manager"}, names(l), "the active keys, oldest first")
	assert.Equal(t, 2, l.TotalRecordCount)
	assert.Equal(t, 0, l.StartIndex)
	key, err := s.store.Get(t.Context(), s.goodID)
	require.NoError(t, err)
	plain := l.Items[0]
	id, isNumber := plain["Id"].(float64)
	assert.True(t, isNumber && id > 0 && id < 1<<53 && id == float64(int64(id)), "Id %v", plain["Id"])
	delete(plain, "Id")
	assert.Equal(t, map[string]any{
		"AccessToken": "", "AppName": "Plain", "AppVersion": "", "DeviceId": s.goodID, "DeviceName": "Plain",
		"UserId": "00000000000000000000000000000000", "IsActive": true,
		"DateCreated": rfc3339(key.CreatedAt), "DateLastActivity": rfc3339(key.LastUsedAt),
	}, plain)
	assert.False(t, key.LastUsedAt.IsZero())
	assert.NotContains(t, res.body, "ak_", "no key and no hint")
	again := decode[list](t, raw(t, "GET /Auth/Keys\nX-Emby-Token: {M}"))
	assert.Equal(t, id, again.Items[0]["Id"], "the Id is the same in every list")

	s.issue(t, apikey.NewKey{Name: "Never used"})
	l = decode[list](t, raw(t, "GET /Auth/Keys?StartIndex=2\nX-Emby-Token: {M}"))
	assert.Equal(t, []any{"Never used"}, names(l), "the last item is the newest key")
	assert.Equal(t, "0001-01-01T00:00:00Z", l.Items[0]["DateLastActivity"])
	assert.Equal(t, 200, raw(t, "HEAD /Auth/Keys\nX-Emby-Token: {M}").StatusCode)
}

func TestListRanges(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	raw := s.listenKeys(t)
	const more = 1200 // the store lists pages of 500
	for i := range more {
		s.issue(t, apikey.NewKey{Name: fmt.Sprint(i)})
	}
	const total = more + 2
	for _, test := range []struct {
		name, query string
		start, n    int
		first       string
	}{
		{"all", "", 0, total, "Plain"},
		{"a limit", "?Limit=10", 0, 10, "Plain"},
		{"a start", "?StartIndex=1200", 1200, 2, "1198"},
		{"a start and a limit across two pages of the store", "?StartIndex=495&Limit=10", 495, 10, "493"},
		{"names in lower case", "?startindex=1&limit=1", 1, 1, "Manager"},
		{"a limit of 0", "?Limit=0", 0, total, "Plain"},
		{"empty values", "?Limit=&StartIndex=", 0, total, "Plain"},
		{"a limit above the number of keys", "?Limit=2147483647", 0, total, "Plain"},
		{"a start after the last key", "?StartIndex=2147483647", 2147483647, 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			res := raw(t, "GET /Auth/Keys"+test.query+"\nX-Emby-Token: {M}")
			l := decode[list](t, res)
			assert.Equal(t, total, l.TotalRecordCount)
			assert.Equal(t, test.start, l.StartIndex)
			require.Len(t, l.Items, test.n)
			if test.n > 0 {
				assert.Equal(t, test.first, l.Items[0]["AppName"])
			} else {
				assert.Contains(t, res.body, `"Items":[]`, "Items is not null")
			}
		})
	}
	for _, query := range []string{"?Limit=-1", "?Limit=x", "?StartIndex=1.5", "?StartIndex=9223372036854775808", "?Limit=1&limit=2"} {
		assert.Equal(t, 400, raw(t, "GET /Auth/Keys"+query+"\nX-Emby-Token: {M}").StatusCode, query)
	}
}

func TestListIsBounded(t *testing.T) {
	t.Parallel()
	m := &recorder{Store: memstore.New()}
	w := serveRecorder(t, m, "GET", "/Auth/Keys")
	assert.Equal(t, 200, w.Code)
	assert.Equal(t, 100, m.pages)
	s := newService(t, apikey.Options{})
	raw := s.listenKeys(t)
	for i := range 10_000 {
		s.issue(t, apikey.NewKey{Name: fmt.Sprint(i)})
	}
	l := decode[list](t, raw(t, "GET /Auth/Keys\nX-Emby-Token: {M}"))
	assert.Equal(t, 10_000, l.TotalRecordCount)
	require.Len(t, l.Items, 10_000)
	assert.Equal(t, "0", l.Items[0]["AppName"], "the list leaves out the oldest keys")
	assert.Equal(t, "9999", l.Items[9_999]["AppName"], "the last item is the newest key")
}

func rfc3339(t time.Time) string { return t.Format(time.RFC3339Nano) }
