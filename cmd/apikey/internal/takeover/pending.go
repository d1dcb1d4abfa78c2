package takeover

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/console"
	"github.com/latchkey-dev/apikey/rehash"
)

// A waiting is a pending key in the list of --pending.
type waiting struct {
	KeyID    string    `json:"key_id"`
	Source   string    `json:"source,omitempty"`
	SourceID string    `json:"source_id,omitempty"`
	Name     string    `json:"name"`
	Owner    string    `json:"owner,omitempty"`
	Until    time.Time `json:"until"`
	Late     bool      `json:"late"` // the deadline has passed
}

// listPending prints the pending keys.
func (c *command) listPending(ctx context.Context) (err error) {
	db, err := c.app.ExistingDatabase()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	all := []waiting{}
	for key, err := range apikey.Keys(ctx, db.Store, apikey.ListOptions{}) {
		if err != nil {
			return err
		}
		if until, ok := rehash.IsPending(&key); ok {
			all = append(all, waiting{key.ID, key.Metadata["source"], key.Metadata["source_id"], key.Name, key.Owner, until, !time.Now().Before(until)})
		}
	}
	if c.app.JSON {
		e := json.NewEncoder(c.app.Out)
		e.SetIndent("", "  ")
		return e.Encode(all)
	}
	t := console.NewTable(c.app.Out, "KEY ID", "SOURCE ID", "NAME", "OWNER", "DEADLINE")
	var rows [][]string
	for _, w := range all {
		deadline := w.Until.Format(time.RFC3339)
		if w.Late {
			deadline += " (passed)"
		}
		rows = append(rows, []string{w.KeyID, w.Source + " " + w.SourceID, w.Name, w.Owner, deadline})
	}
	return t.Write(rows)
}
