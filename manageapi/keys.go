package manageapi

import (
	"encoding/json"
	"net/http"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

func (c *call) list() error {
	options, err := listOptions(c.r.URL.RawQuery)
	if err != nil {
		return err
	}
	page, err := c.session.List(c.r.Context(), options)
	if err != nil {
		return err
	}
	v := struct {
		Keys []keyView `json:"keys"`
		Next string    `json:"next,omitempty"`
	}{make([]keyView, 0, len(page.Keys)), page.Next}
	for _, key := range page.Keys {
		v.Keys = append(v.Keys, viewOf(key))
	}
	c.linkNext(page.Next)
	return c.writeJSON(http.StatusOK, v)
}

func (c *call) create() error {
	id, err := requestID(c.r)
	if err != nil {
		return err
	}
	var k apikey.NewKey
	if err := c.read(newKeyMembers(&k)); err != nil {
		return err
	}
	secret, key, err := c.session.Issue(c.r.Context(), k, id)
	if err != nil {
		return err
	}
	return c.writeIssued(secret, key, "keys/"+key.ID)
}

func newKeyMembers(k *apikey.NewKey) members {
	return members{
		"name":       into(&k.Name, parseText),
		"owner":      into(&k.Owner, parseText),
		"scopes":     into(&k.Scopes, parseTexts),
		"networks":   into(&k.Networks, parseNetworks),
		"limits":     into(&k.Limits, parseLimits),
		"metadata":   into(&k.Metadata, parseMetadata),
		"expires_at": into(&k.ExpiresAt, parseMoment),
	}
}

func (c *call) get() error {
	if err := c.noParameters(); err != nil {
		return err
	}
	key, err := c.session.Get(c.r.Context(), c.id)
	if err != nil {
		return err
	}
	if lines, ok := c.r.Header["If-None-Match"]; ok && tagsMatch(lines, key) {
		c.setTag(key)
		c.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return c.writeKey(key)
}

func (c *call) update() error {
	var p apikey.Patch
	var metadata *metadataPatch
	if err := c.read(members{
		"name":       change(&p.Name, parseText),
		"owner":      change(&p.Owner, parseText),
		"scopes":     change(&p.Scopes, parseTexts),
		"networks":   change(&p.Networks, parseNetworks),
		"limits":     change(&p.Limits, parseLimits),
		"expires_at": change(&p.ExpiresAt, parseMoment),
		"metadata": func(value json.RawMessage) error {
			if isNull(value) {
				p.Metadata = &map[string]string{}
				return nil
			}
			return change(&metadata, parseMetadataPatch)(value)
		},
	}); err != nil {
		return err
	}
	version, err := c.expected()
	if err != nil {
		return err
	}
	if metadata != nil {
		key, err := c.session.Get(c.r.Context(), c.id)
		if err != nil {
			return err
		}
		if version == "" {
			version = manage.Version(key) // because the new metadata depends on it
		}
		changed := metadata.apply(key.Metadata)
		p.Metadata = &changed
	}
	key, err := c.session.Update(c.r.Context(), c.id, version, p)
	if err != nil {
		return err
	}
	return c.writeKey(key)
}
