package manageapi

import (
	"context"
	"net/http"
	"time"

	"github.com/latchkey-dev/apikey"
)

func (c *call) suspend() error { return c.act(c.session.Suspend) }
func (c *call) resume() error  { return c.act(c.session.Resume) }
func (c *call) revoke() error  { return c.act(c.session.Revoke) }

// act serves an action, whose request has an empty body or an empty object.
func (c *call) act(action func(context.Context, string) (apikey.Key, error)) error {
	if err := c.readOptional(members{}); err != nil {
		return err
	}
	if _, err := c.expected(); err != nil {
		return err
	}
	key, err := action(c.r.Context(), c.id)
	if err != nil {
		return err
	}
	return c.writeKey(key)
}

func (c *call) rotate() error {
	id, err := requestID(c.r)
	if err != nil {
		return err
	}
	if id != "" && c.r.Header["If-Match"] != nil {
		return malformed("If-Match and Idempotency-Key exclude each other, because the first request changes the key.").about("If-Match")
	}
	var grace time.Duration
	if err := c.readOptional(members{"grace": into(&grace, parseSeconds)}); err != nil {
		return err
	}
	if _, err := c.expected(); err != nil {
		return err
	}
	secret, key, err := c.session.Rotate(c.r.Context(), c.id, grace, id)
	if err != nil {
		return err
	}
	return c.writeIssued(secret, key, "../"+key.ID)
}

func (c *call) revokeAll() error {
	var owner string
	if err := c.read(members{"owner": into(&owner, parseText)}); err != nil {
		return err
	}
	if owner == "" {
		return invalid("want the owner whose keys to revoke").about("owner")
	}
	n, err := c.session.RevokeAll(c.r.Context(), owner)
	if err != nil {
		return err
	}
	return c.writeJSON(http.StatusOK, struct {
		Revoked int `json:"revoked"`
	}{n})
}

func (c *call) identify() error {
	var secret string
	if err := c.read(members{"secret": into(&secret, parseText)}); err != nil {
		return err
	}
	key, err := c.session.Identify(c.r.Context(), apikey.NewSecret(secret))
	if err != nil {
		return err
	}
	return c.writeKey(key)
}
