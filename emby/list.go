package emby

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

const (
	pageSize = 500    // the most that a KeyManager returns at once
	maxKeys  = 10_000 // how many keys are listed and counted
	maxPages = 100    // how many pages are read, since a page may hold few keys
)

// A list is Emby's and Jellyfin's QueryResult.
type list struct {
	Items            []item
	TotalRecordCount int
	StartIndex       int
}

// An item is their AuthenticationInfo.
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

// nobody is the UserId of what belongs to no user.
const nobody = "00000000000000000000000000000000"

func newItem(key apikey.Key) item {
	return item{
		ID:               number(key.ID),
		AccessToken:      key.ID,
		AppName:          key.Name,
		DeviceID:         key.ID,
		DeviceName:       key.Name,
		UserID:           nobody,
		IsActive:         true,
		DateCreated:      key.CreatedAt,
		DateLastActivity: key.LastUsedAt,
	}
}

// number makes of an ID a number that is exact in JavaScript too.
func number(id string) int64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	return int64(h.Sum64() >> (64 - 53))
}

func (k *keys) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	start, startOK := count(query, "StartIndex")
	limit, limitOK := count(query, "Limit")
	if !startOK || !limitOK {
		refuse(w, http.StatusBadRequest, "StartIndex and Limit must be whole numbers from 0 on, each given once.")
		return
	}
	if limit == 0 {
		limit = maxKeys
	}
	l, err := k.read(r.Context(), start, limit)
	if err != nil {
		unavailable(w, r, err)
		return
	}
	answer(w, l)
}

// read walks over all keys, counts them, and keeps those that are asked for.
func (k *keys) read(ctx context.Context, start, limit int) (list, error) {
	l := list{Items: []item{}, StartIndex: start}
	o := apikey.ListOptions{Status: apikey.StatusActive, Limit: pageSize}
	for range maxPages {
		page, err := k.manager.List(ctx, o)
		if err != nil {
			return list{}, err
		}
		for _, key := range page.Keys {
			if l.TotalRecordCount == maxKeys {
				return l, nil
			}
			if l.TotalRecordCount >= start && len(l.Items) < limit {
				l.Items = append(l.Items, newItem(key))
			}
			l.TotalRecordCount++
		}
		if o.Cursor = page.Next; o.Cursor == "" {
			break
		}
	}
	return l, nil
}

// count returns a parameter that is a number from 0 on, and 0 if it is not there.
func count(values url.Values, name string) (n int, ok bool) {
	text, ok := parameter(values, name)
	if !ok || text == "" {
		return 0, ok
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0
}

// parameter returns the value of a parameter whose name is in any case, "" if it is not
// there, and false if it has several values.
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

func answer(w http.ResponseWriter, value any) {
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
