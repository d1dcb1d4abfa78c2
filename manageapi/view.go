package manageapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// A keyView is a key in a response. Times that are zero are omitted.
type keyView struct {
	ID           string            `json:"id"`
	Version      string            `json:"version"`
	Name         string            `json:"name"`
	Status       apikey.Status     `json:"status"`
	Owner        string            `json:"owner"`
	Scopes       []string          `json:"scopes"`
	Networks     []netip.Prefix    `json:"networks"`
	Limits       []limitView       `json:"limits"`
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

// A limitView is a limit of use of a key.
type limitView struct {
	Name     string  `json:"name"`
	Requests int64   `json:"requests"`
	Per      float64 `json:"per,omitempty"` // seconds
	Burst    int64   `json:"burst,omitempty"`
	Calendar string  `json:"calendar,omitempty"`
}

func viewOf(k apikey.Key) keyView {
	v := keyView{
		ID: k.ID, Version: manage.Version(k), Name: k.Name, Status: statusOf(k), Owner: k.Owner,
		Scopes: listed(k.Scopes), Networks: listed(k.Networks), Metadata: k.Metadata, Hint: k.Hint, Replaces: k.Replaces, Origin: k.Origin,
		Limits:    limitViewsOf(k.Limits),
		CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt, LastUsedAt: k.LastUsedAt, LastUsedAddr: k.LastUsedAddr,
		SuspendedAt: k.SuspendedAt, RevokedAt: k.RevokedAt,
	}
	if v.Metadata == nil {
		v.Metadata = map[string]string{}
	}
	return v
}

func limitViewsOf(limits []apikey.Limit) []limitView {
	views := make([]limitView, 0, len(limits))
	for _, l := range limits {
		views = append(views, limitViewOf(l))
	}
	return views
}

func limitViewOf(l apikey.Limit) limitView {
	return limitView{l.Name, l.Requests, l.Per.Seconds(), l.Burst, l.Calendar}
}

// listed returns a list that is [] in JSON if it is empty, so that clients need not expect null.
func listed[T any](list []T) []T { return append([]T{}, list...) }

func statusOf(k apikey.Key) apikey.Status {
	switch k.Check(time.Now()) {
	case apikey.ErrRevoked:
		return apikey.StatusRevoked
	case apikey.ErrSuspended:
		return apikey.StatusSuspended
	case apikey.ErrExpired:
		return apikey.StatusExpired
	}
	return apikey.StatusActive
}

// writeKey writes a key with its entity tag.
func (c *call) writeKey(k apikey.Key) error {
	c.setTag(k)
	return c.writeJSON(http.StatusOK, viewOf(k))
}

// An issuedView is a key that was created or rotated. No other response contains a secret.
type issuedView struct {
	Key      keyView `json:"key"`
	Secret   string  `json:"secret,omitempty"`
	Replayed bool    `json:"replayed"`
}

// writeIssued writes a new key. location is the URL of the key, relative to the URL of the request.
func (c *call) writeIssued(s apikey.Secret, k apikey.Key, location string) error {
	v := issuedView{Key: viewOf(k), Secret: s.Reveal()}
	v.Replayed = v.Secret == ""
	status := http.StatusCreated
	if v.Replayed {
		status = http.StatusOK
	}
	c.w.Header().Set("Location", location)
	c.setTag(k)
	return c.writeJSON(status, v)
}

// linkNext announces the next page (RFC 8288) by a URL that is relative to the URL of the request.
func (c *call) linkNext(cursor string) {
	if cursor == "" {
		return
	}
	query := c.r.URL.Query()
	query.Set("cursor", cursor)
	link := url.URL{RawQuery: query.Encode()}
	c.w.Header().Set("Link", "<"+link.String()+`>; rel="next"`)
}

func (c *call) writeJSON(status int, v any) error {
	c.write("application/json", status, v)
	return nil
}

func (c *call) write(contentType string, status int, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(v) // no view contains a value that cannot be encoded
	c.w.Header().Set("Content-Type", contentType)
	c.w.WriteHeader(status)
	c.w.Write(b.Bytes())
}
