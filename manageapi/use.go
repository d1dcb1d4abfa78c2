package manageapi

import (
	"fmt"
	"net/http"
)

// A useView is the remaining use of a key within one limit.
type useView struct {
	Limit     limitView `json:"limit"`
	Remaining int64     `json:"remaining"`
	Reset     float64   `json:"reset"` // seconds
}

// use returns how many requests each limit of the key in the path still permits.
func (c *call) use() error {
	if c.limiter == nil {
		return noEndpoint
	}
	if err := c.noParameters(); err != nil {
		return err
	}
	key, err := c.session.Get(c.r.Context(), c.id)
	if err != nil {
		return err
	}
	all, err := c.limiter.Use(c.r.Context(), &key)
	if err != nil {
		return fmt.Errorf("%w: %w", useUnknown, err)
	}
	v := struct {
		Limits []useView `json:"limits"`
	}{make([]useView, 0, len(all))}
	for _, u := range all {
		v.Limits = append(v.Limits, useView{limitViewOf(u.Limit), u.Remaining, u.Reset.Seconds()})
	}
	return c.writeJSON(http.StatusOK, v)
}
