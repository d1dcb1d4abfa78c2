// Package keyjson reads and writes keys in the JSON format of package manageapi. The command prints the same format
// with --json. The file manageapi/openapi.json describes it.
package keyjson

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// A Key is the JSON object of a key. It omits times that are zero.
type Key struct {
	ID           string            `json:"id"`
	Version      string            `json:"version"`
	Name         string            `json:"name"`
	Status       apikey.Status     `json:"status"`
	Owner        string            `json:"owner"`
	Scopes       []string          `json:"scopes"`
	Networks     []netip.Prefix    `json:"networks"`
	Limits       []Limit           `json:"limits"`
	Metadata     map[string]string `json:"metadata"`
	Hint         string            `json:"hint"`
	Replaces     string            `json:"replaces,omitempty"`
	Origin       string            `json:"origin,omitempty"`
	CreatedAt    time.Time         `json:"created_at"`
	ExpiresAt    time.Time         `json:"expires_at,omitzero"`
	LastUsedAt   time.Time         `json:"last_used_at,omitzero"`
	LastUsedAddr netip.Addr        `json:"last_used_addr,omitzero"`
	SuspendedAt  time.Time         `json:"suspended_at,omitzero"`
	RevokedAt    time.Time         `json:"revoked_at,omitzero"`
}

// A Limit is the JSON object of a limit of use.
type Limit struct {
	Name     string  `json:"name"`
	Requests int64   `json:"requests"`
	Per      float64 `json:"per,omitempty"` // seconds
	Burst    int64   `json:"burst,omitempty"`
	Calendar string  `json:"calendar,omitempty"`
}

// An Issued is a new key with its secret. The secret is empty if the response repeats an earlier one, as Replayed
// says, or if the secret is in a file.
type Issued struct {
	Key      Key    `json:"key"`
	Secret   string `json:"secret,omitempty"`
	Replayed bool   `json:"replayed"`
}

// A Page is a page of a list of keys. Next is the cursor of the next page, or "" on the last one.
type Page struct {
	Keys []Key  `json:"keys"`
	Next string `json:"next,omitempty"`
}

// Of returns the object of a key, with its status at a time.
func Of(k apikey.Key, now time.Time) Key {
	v := Key{
		ID: k.ID, Version: manage.Version(k), Name: k.Name, Status: StatusOf(k, now), Owner: k.Owner,
		Scopes: listed(k.Scopes), Networks: listed(k.Networks), Limits: LimitsOf(k.Limits), Metadata: map[string]string{},
		Hint: k.Hint, Replaces: k.Replaces, Origin: k.Origin, CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt,
		LastUsedAt: k.LastUsedAt, LastUsedAddr: k.LastUsedAddr, SuspendedAt: k.SuspendedAt, RevokedAt: k.RevokedAt,
	}
	maps.Copy(v.Metadata, k.Metadata)
	return v
}

// StatusOf returns the status of a key at a time.
func StatusOf(k apikey.Key, now time.Time) apikey.Status {
	switch k.Check(now) {
	case apikey.ErrRevoked:
		return apikey.StatusRevoked
	case apikey.ErrSuspended:
		return apikey.StatusSuspended
	case apikey.ErrExpired:
		return apikey.StatusExpired
	}
	return apikey.StatusActive
}

// LimitsOf returns the objects of limits.
func LimitsOf(limits []apikey.Limit) []Limit {
	views := make([]Limit, 0, len(limits))
	for _, l := range limits {
		views = append(views, Limit{l.Name, l.Requests, l.Per.Seconds(), l.Burst, l.Calendar})
	}
	return views
}

// Value returns the key of an object. The error says that the object has no valid ID or limit.
func (v Key) Value() (apikey.Key, error) {
	if !apikey.ValidID(v.ID) {
		return apikey.Key{}, fmt.Errorf("keyjson: a key without a valid ID")
	}
	k := apikey.Key{
		ID: v.ID, Name: v.Name, Owner: v.Owner, Scopes: v.Scopes, Networks: v.Networks, Metadata: v.Metadata,
		Hint: v.Hint, Replaces: v.Replaces, Origin: v.Origin, CreatedAt: v.CreatedAt, ExpiresAt: v.ExpiresAt,
		LastUsedAt: v.LastUsedAt, LastUsedAddr: v.LastUsedAddr, SuspendedAt: v.SuspendedAt, RevokedAt: v.RevokedAt,
	}
	const most = 1e9 // seconds, far above the longest limit and below the limit of time.Duration
	for _, l := range v.Limits {
		if !(0 <= l.Per && l.Per < most) {
			return apikey.Key{}, fmt.Errorf("keyjson: key %s: limit per %v seconds", v.ID, l.Per)
		}
		per := time.Duration(math.Round(l.Per*1e6)) * time.Microsecond
		k.Limits = append(k.Limits, apikey.Limit{Name: l.Name, Requests: l.Requests, Per: per, Burst: l.Burst, Calendar: l.Calendar})
	}
	return k.Clone(), nil
}

// listed returns a list that is [] in JSON if it is empty.
func listed[T any](list []T) []T { return append([]T{}, list...) }
