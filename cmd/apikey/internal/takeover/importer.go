package takeover

import (
	"context"
	"errors"
	"fmt"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/rehearsal"
)

// A status is the result of one row.
type status string

const (
	imported  status = "imported"
	exists    status = "exists"    // an earlier import took the key over
	duplicate status = "duplicate" // an earlier row of the source has the same key
	failed    status = "failed"    // the key must be issued again, or the row be corrected
)

// ok reports whether the key is taken over.
func (s status) ok() bool { return s == imported || s == exists }

// A result tells what happened to one row.
type result struct {
	Status   status   `json:"status"`
	SourceID string   `json:"source_id"`
	Name     string   `json:"name"`
	Owner    string   `json:"owner,omitempty"`
	KeyID    string   `json:"key_id,omitempty"` // empty in a dry run
	Problem  string   `json:"problem,omitempty"`
	Notes    []string `json:"notes,omitempty"`
}

// An importer imports rows. It is not safe for concurrent use.
type importer struct {
	issuer   *apikey.Issuer
	rehearse *rehearsal.Rehearsal
	dryRun   bool
	seen     map[apikey.Digest]string // the source ID of each key of this run
}

func newImporter(issuer *apikey.Issuer, dryRun bool) (*importer, error) {
	r, err := rehearsal.New(issuer)
	return &importer{issuer, r, dryRun, map[apikey.Digest]string{}}, err
}

// importRow imports one row. An error means that the database failed; the row and those after it can be
// imported by another run.
func (i *importer) importRow(ctx context.Context, r *row) (result, error) {
	res := result{SourceID: r.id, Name: r.key.Name, Owner: r.key.Owner, Problem: r.problem, Notes: r.notes}
	if r.problem != "" {
		res.Status = failed
		return res, nil
	}
	digest, _, err := i.rehearse.Import(ctx, r.key)
	if err != nil {
		res.Status, res.Problem = failed, err.Error()
		return res, nil
	}
	if first, ok := i.seen[digest]; ok {
		res.Status, res.Problem = duplicate, "the same key as "+first
		return res, nil
	}
	i.seen[digest] = r.id
	if !i.dryRun {
		key, err := i.issuer.Import(ctx, r.key)
		switch {
		case err == nil:
			res.Status, res.KeyID = imported, key.ID
			return res, nil
		case !errors.Is(err, apikey.ErrExists):
			return res, fmt.Errorf("%s: %w", r.id, err)
		}
	}
	known, err := i.issuer.Manager().Lookup(ctx, digest)
	switch {
	case errors.Is(err, apikey.ErrNotFound):
		res.Status = imported
	case err != nil:
		return res, err
	default:
		res.Status, res.KeyID = exists, known.ID
	}
	return res, nil
}
