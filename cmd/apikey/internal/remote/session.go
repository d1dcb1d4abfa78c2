package remote

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/keyjson"
	"github.com/latchkey-dev/apikey/manage"
)

// List returns a page of the keys that the server shows to the key of the Session.
func (s *Session) List(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
	query := url.Values{}
	for name, value := range map[string]string{
		"owner": o.Owner, "scope": o.Scope, "status": string(o.Status), "search": o.Search, "sort": string(o.Sort), "cursor": o.Cursor,
		"expires_before": timeText(o.ExpiresBefore), "unused_since": timeText(o.UnusedSince),
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if o.Limit != 0 {
		query.Set("limit", strconv.Itoa(o.Limit))
	}
	var page keyjson.Page
	if err := s.do(ctx, call{method: http.MethodGet, path: "keys", query: query}, &page); err != nil {
		return apikey.Page{}, err
	}
	list := apikey.Page{Next: page.Next}
	for _, object := range page.Keys {
		key, err := object.Value()
		if err != nil {
			return apikey.Page{}, err
		}
		list.Keys = append(list.Keys, key)
	}
	return list, nil
}

// Get returns the key with this ID.
func (s *Session) Get(ctx context.Context, id string) (apikey.Key, error) {
	if !apikey.ValidID(id) {
		return apikey.Key{}, apikey.ErrNotFound
	}
	return s.oneKey(ctx, call{method: http.MethodGet, path: "keys/" + id})
}

// Identify returns the key of a secret, even if it is expired or revoked.
func (s *Session) Identify(ctx context.Context, secret apikey.Secret) (apikey.Key, error) {
	body := map[string]string{"secret": secret.Reveal()}
	return s.oneKey(ctx, call{method: http.MethodPost, path: "identify", body: body, reads: true})
}

// Issue makes a key. The requestID makes it idempotent; see manage.Session.Issue.
func (s *Session) Issue(ctx context.Context, k apikey.NewKey, requestID string) (apikey.Secret, apikey.Key, error) {
	body := map[string]any{"name": k.Name}
	setIf(body, "owner", k.Owner, k.Owner != "")
	setIf(body, "scopes", k.Scopes, len(k.Scopes) > 0)
	setIf(body, "networks", k.Networks, len(k.Networks) > 0)
	setIf(body, "limits", keyjson.LimitsOf(k.Limits), len(k.Limits) > 0)
	setIf(body, "metadata", k.Metadata, len(k.Metadata) > 0)
	setIf(body, "expires_at", k.ExpiresAt, !k.ExpiresAt.IsZero())
	return s.issued(ctx, call{method: http.MethodPost, path: "keys", body: body, requestID: requestID})
}

// Rotate makes a successor of a key. The requestID makes it idempotent; see manage.Session.Rotate.
func (s *Session) Rotate(ctx context.Context, id string, grace time.Duration, requestID string) (apikey.Secret, apikey.Key, error) {
	if !apikey.ValidID(id) {
		return apikey.Secret{}, apikey.Key{}, apikey.ErrNotFound
	}
	body := map[string]float64{"grace": grace.Seconds()}
	return s.issued(ctx, call{method: http.MethodPost, path: "keys/" + id + "/rotate", body: body, requestID: requestID})
}

// Update changes a key; see manage.Session.Update. Metadata replaces all metadata of the key, so Update
// first reads the key, and returns manage.ErrChanged if its version differs. For Suspended it returns an InvalidError;
// call Suspend or Resume instead.
func (s *Session) Update(ctx context.Context, id, version string, p apikey.Patch) (apikey.Key, error) {
	if !apikey.ValidID(id) {
		return apikey.Key{}, apikey.ErrNotFound
	}
	if p.Suspended != nil {
		return apikey.Key{}, &apikey.InvalidError{Field: "Suspended", Problem: "want Suspend or Resume"}
	}
	c := call{method: http.MethodPatch, path: "keys/" + id}
	if version != "" {
		c.ifMatch = s.tagOf(id, version)
	}
	body := map[string]any{}
	if p.Metadata != nil {
		// A merge patch keeps the names that it does not mention (RFC 7396).
		old, err := s.Get(ctx, id)
		if err != nil {
			return apikey.Key{}, err
		}
		if version != "" && manage.Version(old) != version {
			return apikey.Key{}, manage.ErrChanged
		}
		c.ifMatch = s.tagOf(id, manage.Version(old))
		metadata := map[string]any{}
		for name := range old.Metadata {
			metadata[name] = nil
		}
		for name, value := range *p.Metadata {
			metadata[name] = value
		}
		body["metadata"] = metadata
	}
	setPointer(body, "name", p.Name)
	setPointer(body, "owner", p.Owner)
	setPointer(body, "scopes", p.Scopes)
	setPointer(body, "networks", p.Networks)
	if p.Limits != nil {
		body["limits"] = keyjson.LimitsOf(*p.Limits)
	}
	if p.ExpiresAt != nil {
		body["expires_at"] = nil
		setIf(body, "expires_at", *p.ExpiresAt, !p.ExpiresAt.IsZero())
	}
	c.body = body
	return s.oneKey(ctx, c)
}

// Revoke revokes a key permanently.
func (s *Session) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	return s.act(ctx, id, "revoke")
}

// Suspend suspends a key until Resume.
func (s *Session) Suspend(ctx context.Context, id string) (apikey.Key, error) {
	return s.act(ctx, id, "suspend")
}

// Resume resumes a suspended key.
func (s *Session) Resume(ctx context.Context, id string) (apikey.Key, error) {
	return s.act(ctx, id, "resume")
}

func (s *Session) act(ctx context.Context, id, action string) (apikey.Key, error) {
	if !apikey.ValidID(id) {
		return apikey.Key{}, apikey.ErrNotFound
	}
	return s.oneKey(ctx, call{method: http.MethodPost, path: "keys/" + id + "/" + action})
}

// RevokeAll revokes all keys of an owner and returns how many it revoked.
func (s *Session) RevokeAll(ctx context.Context, owner string) (int, error) {
	var result struct{ Revoked int }
	body := map[string]string{"owner": owner}
	err := s.do(ctx, call{method: http.MethodPost, path: "revoke-all", body: body, timeout: revokeAllTimeout}, &result)
	return result.Revoked, err
}

// oneKey sends a request whose response is a key.
func (s *Session) oneKey(ctx context.Context, c call) (apikey.Key, error) {
	var object keyjson.Key
	if err := s.do(ctx, c, &object); err != nil {
		return apikey.Key{}, err
	}
	key, err := object.Value()
	if err != nil {
		return apikey.Key{}, lost(ctx, c.changes(), err)
	}
	if c.method == http.MethodGet {
		s.remember(key.ID, version{manage.Version(key), object.Version})
	}
	return key, nil
}

// issued sends a request whose response is a new key.
func (s *Session) issued(ctx context.Context, c call) (apikey.Secret, apikey.Key, error) {
	var result keyjson.Issued
	if err := s.do(ctx, c, &result); err != nil {
		return apikey.Secret{}, apikey.Key{}, err
	}
	key, err := result.Key.Value()
	if err != nil {
		return apikey.Secret{}, apikey.Key{}, lost(ctx, true, err)
	}
	return apikey.NewSecret(result.Secret), key, nil
}

func setIf(body map[string]any, name string, value any, condition bool) {
	if condition {
		body[name] = value
	}
}

func setPointer[T any](body map[string]any, name string, value *T) {
	if value != nil {
		body[name] = *value
	}
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
