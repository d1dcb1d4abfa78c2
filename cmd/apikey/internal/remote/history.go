package remote

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/keyjson"
)

// History returns a page of the changes of one key or, if the server permits, of all keys.
func (s *Session) History(ctx context.Context, o apikey.AuditOptions) (apikey.AuditPage, error) {
	path, query := "history", url.Values{}
	if o.KeyID != "" {
		if !apikey.ValidID(o.KeyID) {
			return apikey.AuditPage{}, apikey.ErrNotFound
		}
		path = "keys/" + o.KeyID + "/history"
	}
	if o.Cursor != "" {
		query.Set("cursor", o.Cursor)
	}
	if o.Limit != 0 {
		query.Set("limit", strconv.Itoa(o.Limit))
	}
	var page keyjson.History
	if err := s.do(ctx, call{method: http.MethodGet, path: path, query: query}, &page); err != nil {
		return apikey.AuditPage{}, err
	}
	history := apikey.AuditPage{Next: page.Next}
	for _, entry := range page.Entries {
		history.Entries = append(history.Entries, entry.Value())
	}
	return history, nil
}
