package takeover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/rehearsal"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// A status is the result of one row.
type status string

const (
	imported  status = "imported"
	pending   status = "pending"   // the first request with the key will prove it
	exists    status = "exists"    // an earlier import took the key over
	duplicate status = "duplicate" // an earlier row of the source has the same key
	failed    status = "failed"    // correct the row, or issue a new key
	unknown   status = ""          // not yet decided
)

// ok reports whether the key is in the database.
func (s status) ok() bool { return s == imported || s == pending || s == exists }

// A result is the result of one row, for the report.
type result struct {
	Status   status   `json:"status"`
	SourceID string   `json:"source_id"`
	Name     string   `json:"name"`
	Owner    string   `json:"owner,omitempty"`
	KeyID    string   `json:"key_id,omitempty"` // empty in a dry run
	Problem  string   `json:"problem,omitempty"`
	Notes    []string `json:"notes,omitempty"`
}

// sharedFinder is the problem of a pending key with the same finder as another key; see package rehash. A request would
// need two hashes to distinguish them.
const sharedFinder = "issue a new key, because this one cannot be distinguished from "

// An importer imports rows. It is not safe for concurrent use.
type importer struct {
	store    *sqlstore.Store
	rehearse *rehearsal.Rehearsal
	dryRun   bool
	until    time.Time                // the deadline of pending keys
	seen     map[apikey.Digest]string // the source ID of each key of this run
}

func newImporter(store *sqlstore.Store, issuer *apikey.Issuer, dryRun bool, until time.Time) (*importer, error) {
	r, err := rehearsal.New(issuer)
	return &importer{store, r, dryRun, until, map[apikey.Digest]string{}}, err
}

// batchSize is the number of keys that one transaction writes.
const batchSize = 500

// importRows imports rows in batches. An error means that the database failed. importRows then returns the results of
// the previous batches, and another run continues.
func (i *importer) importRows(ctx context.Context, rows []row) (all []result, err error) {
	for len(rows) > 0 {
		n := min(batchSize, len(rows))
		results, err := i.importBatch(ctx, rows[:n])
		if err != nil {
			return all, err
		}
		all, rows = append(all, results...), rows[n:]
	}
	return all, nil
}

// A batch contains the results of rows, and the keys of the results that are still unknown.
type batch struct {
	results []result
	index   []int // the result of each key
	digests []apikey.Digest
	keys    []apikey.Key
}

func (i *importer) importBatch(ctx context.Context, rows []row) ([]result, error) {
	var b batch
	for j := range rows {
		res, digest, key := i.check(ctx, &rows[j])
		if res.Status == unknown {
			b.index = append(b.index, j)
			b.digests = append(b.digests, digest)
			b.keys = append(b.keys, key)
		}
		b.results = append(b.results, res)
	}
	created := make([]bool, len(b.keys))
	if !i.dryRun {
		var err error
		if created, err = i.store.CreateAll(ctx, b.digests, b.keys); err != nil {
			return nil, err
		}
	}
	for k, j := range b.index {
		if err := i.decide(ctx, &rows[j], &b.results[j], b.digests[k], b.keys[k].ID, created[k]); err != nil {
			return nil, err
		}
	}
	return b.results, nil
}

// check validates a row. The status of the result is failed or duplicate if the key must not be written. Otherwise it
// is unknown, and check returns the key to write.
func (i *importer) check(ctx context.Context, r *row) (result, apikey.Digest, apikey.Key) {
	res := result{SourceID: r.id, Name: r.key.Name, Owner: r.key.Owner, Problem: r.problem, Notes: r.notes}
	if r.problem != "" {
		res.Status = failed
		return res, apikey.Digest{}, apikey.Key{}
	}
	digest, key, err := i.rehearse.Do(func(issuer *apikey.Issuer) (apikey.Key, error) {
		if r.pending != nil {
			return r.pending.Import(ctx, issuer, r.key, i.until)
		}
		return issuer.Import(ctx, r.key)
	})
	switch first, known := i.seen[digest]; {
	case err != nil:
		res.Status, res.Problem = failed, err.Error()
	case known && r.pending != nil:
		res.Status, res.Problem = failed, sharedFinder+first
	case known:
		res.Status, res.Problem = duplicate, "the same key as "+first
	default:
		i.seen[digest] = r.id
	}
	return res, digest, key
}

// decide sets the status of a row after the write, which skips digests that the store has already.
func (i *importer) decide(ctx context.Context, r *row, res *result, d apikey.Digest, id string, created bool) error {
	success := imported
	if r.pending != nil {
		success = pending
	}
	if created {
		res.Status, res.KeyID = success, id
		return nil
	}
	known, err := i.store.Lookup(ctx, d)
	switch {
	case errors.Is(err, apikey.ErrNotFound) && i.dryRun:
		res.Status = success
	case err != nil:
		return fmt.Errorf("%s: %w", r.id, err)
	case r.pending != nil && known.Metadata["source_id"] != r.id:
		res.Status, res.Problem = failed, sharedFinder+known.Metadata["source_id"]
	default:
		res.Status, res.KeyID = exists, known.ID
	}
	return nil
}
