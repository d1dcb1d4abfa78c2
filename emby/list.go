package emby

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

const (
	pageSize = 500    // limit of KeyManager.List
	maxKeys  = 10_000 // keys in a list and in its count
	maxPages = 100    // pages that a list reads, because a page may contain few keys
)

// A list is the QueryResult of Emby and Jellyfin.
type list struct {
	Items            []item
	TotalRecordCount int
	StartIndex       int
}

// An item is the AuthenticationInfo of Emby and Jellyfin.
type item struct {
	ID               int64 `json:"Id"`
	AccessToken      string
	AppName          string
	AppVersion       string
	DeviceID         string `json:"DeviceId"`
	DeviceName       string
	UserID           string `json:"UserId"`
	IsActive         bool
	DateCreated      time.Time
	DateLastActivity time.Time
}

// noUser is the UserId of a key that belongs to no user.
const noUser = "00000000000000000000000000000000"

func newItem(key apikey.Key) item {
	return item{
		ID:               number(key.ID),
		AppName:          key.Name,
		DeviceID:         key.ID,
		DeviceName:       key.Name,
		UserID:           noUser,
		IsActive:         true,
		DateCreated:      key.CreatedAt,
		DateLastActivity: key.LastUsedAt,
	}
}

// number hashes an ID to 53 bits, which JavaScript represents exactly.
func number(id string) int64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	return int64(h.Sum64() >> (64 - 53))
}

func (v *visit) list() {
	query := v.r.URL.Query()
	start, startOK := count(query, "StartIndex")
	limit, limitOK := count(query, "Limit")
	if !startOK || !limitOK {
		refuse(v.w, http.StatusBadRequest, "StartIndex and Limit must each be one whole number of at least 0.")
		return
	}
	if limit == 0 {
		limit = maxKeys
	}
	all, err := v.active(v.r.Context())
	if err != nil {
		v.fail(err)
		return
	}
	l := list{Items: []item{}, TotalRecordCount: len(all), StartIndex: start}
	for _, key := range all[min(start, len(all)):] {
		if len(l.Items) == limit {
			break
		}
		item := newItem(key)
		if v.r.Method == http.MethodGet { // the response to a HEAD shows no key
			item.AccessToken = v.recent.take(key.ID, v.caller).Reveal()
		}
		l.Items = append(l.Items, item)
	}
	writeJSON(v.w, l)
}

// active returns the newest active keys, oldest first. Jellyfin lists in that order, and clients
// that have created a key use the last item.
func (v *visit) active(ctx context.Context) (all []apikey.Key, err error) {
	o := apikey.ListOptions{Status: apikey.StatusActive, Sort: apikey.SortNewest, Limit: pageSize}
	for range maxPages {
		page, err := v.session.List(ctx, o)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Keys...)
		if o.Cursor = page.Next; o.Cursor == "" || len(all) >= maxKeys {
			break
		}
	}
	all = all[:min(len(all), maxKeys)]
	slices.Reverse(all)
	return all, nil
}

// count returns the value of a parameter, or 0 if it is missing or empty. The result ok is false if
// the value is not a whole number of at least 0.
func count(values url.Values, name string) (n int, ok bool) {
	text, ok := parameter(values, name)
	if !ok || text == "" {
		return 0, ok
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0
}

// parameter returns the value of a parameter with this name, in any case, or "" if it is missing.
// The result ok is false if the parameter has several values.
func parameter(values url.Values, name string) (value string, ok bool) {
	for given, all := range values {
		if !equalFold(given, name) {
			continue
		}
		for _, one := range all {
			one = strings.TrimSpace(one)
			if value != "" && one != "" && one != value {
				return "", false
			}
			if one != "" {
				value = one
			}
		}
	}
	return value, true
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	json.NewEncoder(w).Encode(value)
}

// refuse writes problem+json (RFC 9457), as package apikey does.
func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{"about:blank", http.StatusText(status), status, detail})
}
