package manageapi

import (
	_ "embed"
	"net/http"
	"net/netip"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// A callerView is the key of the caller. It lacks the fields that are for the service's own use.
type callerView struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Owner     string    `json:"owner"`
	Scopes    []string  `json:"scopes"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

type accessView struct {
	Actor       string         `json:"actor"`
	Owner       string         `json:"owner,omitempty"`
	AllOwners   bool           `json:"all_owners"`
	Scopes      []string       `json:"scopes"`
	AnyScope    bool           `json:"any_scope"`
	Networks    []netip.Prefix `json:"networks"`
	Limits      []limitView    `json:"limits"`
	MaxLifetime int64          `json:"max_lifetime,omitempty"` // seconds
	NotAfter    time.Time      `json:"not_after,omitzero"`
	MaxKeys     int            `json:"max_keys,omitempty"`
	ReadOnly    bool           `json:"read_only"`
	MayResume   bool           `json:"may_resume"`
}

// whoami accepts every valid key, even one that may not manage keys.
func (c *call) whoami() error {
	if err := c.noParameters(); err != nil {
		return err
	}
	key, hasKey := apikey.FromContext(c.r.Context())
	err := c.open()
	if err != nil && (err != forbidden || !hasKey) {
		return err
	}
	var v struct {
		Key    *callerView `json:"key,omitempty"`
		Access *accessView `json:"access,omitempty"`
	}
	if hasKey {
		v.Key = &callerView{key.ID, key.Name, key.Owner, listed(key.Scopes), key.CreatedAt, key.ExpiresAt}
	}
	if err == nil {
		v.Access = accessViewOf(c.session.Access())
	}
	return c.writeJSON(http.StatusOK, v)
}

func accessViewOf(a manage.Access) *accessView {
	return &accessView{
		Actor: a.Actor, Owner: a.Owner, AllOwners: a.AllOwners, Scopes: listed(a.Scopes), AnyScope: a.AnyScope,
		Networks: listed(a.Networks), Limits: limitViewsOf(a.Limits),
		MaxLifetime: int64(a.MaxLifetime / time.Second), NotAfter: a.NotAfter,
		MaxKeys: a.MaxKeys, ReadOnly: a.ReadOnly, MayResume: a.MayResume,
	}
}

//go:embed openapi.json
var description []byte

func (c *call) describe() error {
	c.w.Header().Set("Content-Type", "application/json")
	c.w.Write(description)
	return nil
}
