package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/listing"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// filledAt is when filled keys were created.
var filledAt = time.Now().UTC().Truncate(time.Second).Add(-time.Hour)

// A filling is the keys that a table is filled with. Key number i has seq i+1.
type filling []apikey.Digest

// newFilling returns n digests that nobody has a key for.
func newFilling(n int) filling {
	f := make(filling, n)
	for i := range f {
		f[i] = sha256.Sum256(fmt.Append(nil, i))
	}
	return f
}

// filling returns the digests of a population.
func (p *population) filling() filling {
	f := make(filling, len(p.keys))
	for i, key := range p.keys {
		f[i] = sha256.Sum256([]byte(key))
	}
	return f
}

// rank is where key number i stands among the names: not where it stands in the table, or
// the indexes would be filled from one end to the other. The prime divides no number of
// keys here.
func (f filling) rank(i int) int { return i * 7919 % len(f) }

// forever reports whether key number i does not expire; each fourth does not.
func (f filling) forever(i int) bool { return i%4 == 3 }

// id is as long as an Issuer's.
func (f filling) id(i int) string { return fmt.Sprintf("%x", f[i][:8]) }

// key is key number i as a store returns it.
func (f filling) key(i int) apikey.Key {
	k := apikey.Key{
		ID: f.id(i), Name: fmt.Sprintf("Backup job %07d", f.rank(i)), Hint: fmt.Sprintf("key_…%x", f[i][8:10]),
		Scopes: []string{"library:read"}, CreatedAt: filledAt,
	}
	if !f.forever(i) {
		k.ExpiresAt = filledAt.Add(24*time.Hour + time.Duration(f.rank(i))*time.Second)
	}
	return k
}

// fill puts the keys into empty tables as so many creations would have left them: each is a
// revision, with the row of the audit trail that tells of it. It is much faster.
func (d *database) fill(f filling) error {
	db, err := d.open(d.dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // so that what it hurries is what it fills by
	if _, err := db.Exec(d.hurry); err != nil {
		return err
	}
	const chunk = 1_000
	for from := 0; from < len(f); from += chunk {
		if err := d.fillPart(db, f, from, min(from+chunk, len(f))); err != nil {
			return fmt.Errorf("filling: %w", err)
		}
	}
	if _, err := db.Exec(d.settle); err != nil {
		return fmt.Errorf("filling: %w", err)
	}
	return nil
}

// fillPart adds a part of the keys in one transaction.
func (d *database) fillPart(db *sql.DB, f filling, from, to int) error {
	binary := "X'%x'"
	if d.dialect == sqlstore.Postgres {
		binary = `'\x%x'`
	}
	var keys, audit []string
	for i := from; i < to; i++ {
		k, seq := f.key(i), i+1
		var expires int64
		if !k.ExpiresAt.IsZero() {
			expires = k.ExpiresAt.UnixMicro()
		}
		// No text of ours has a quote in it.
		keys = append(keys, fmt.Sprintf("(%d,'%s',"+binary+",'%s','%s','%s','','%s','%s','','',%d,%d,0,0,0)",
			seq, k.ID, f[i][:], k.Name, listing.Fold(k.Name), listing.Fold(k.ID+"\n"+k.Hint), k.Hint,
			strings.Join(k.Scopes, " "), k.CreatedAt.UnixMicro(), expires))
		audit = append(audit, fmt.Sprintf("(%d,1,%d,'','create','%s',%d,'')", seq, k.CreatedAt.UnixMicro(), k.ID, seq))
	}
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, statement := range []string{
		"INSERT INTO apikey_keys (seq, id, digest, name, fold, fold_id, owner, hint, scopes, metadata, replaces, " +
			"created_at, expires_at, revoked_at, dead, changed) VALUES " + strings.Join(keys, ","),
		"INSERT INTO apikey_audit (rev, tag, at, actor, action, key_id, key_seq, detail) VALUES " + strings.Join(audit, ","),
		fmt.Sprintf("UPDATE apikey_meta SET rev = %d, tag = 1", to),
	} {
		if _, err := tx.Exec(statement); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// filled opens a process on tables that are full, and makes sure that the store takes what
// was put there for its own.
func (d *database) filled(f filling, poll time.Duration) (*process, error) {
	p, err := d.process(poll)
	if err != nil {
		return nil, err
	}
	if err := d.fill(f); err != nil {
		return nil, err
	}
	ctx := context.Background()
	for _, i := range []int{0, len(f) / 2, len(f) - 1} {
		for _, get := range []func() (*apikey.Key, error){
			func() (*apikey.Key, error) { k, err := p.store.Get(ctx, f.id(i)); return &k, err },
			func() (*apikey.Key, error) { return p.store.Lookup(ctx, f[i]) },
		} {
			if got, err := get(); err != nil || !reflect.DeepEqual(*got, f.key(i)) {
				return nil, fmt.Errorf("filled with %+v, and the store has %+v, %v", f.key(i), got, err)
			}
		}
	}
	changes, err := p.store.Changes(ctx, apikey.Cursor{})
	if err != nil || changes.Head.Revision != uint64(len(f)) {
		return nil, fmt.Errorf("filled with %d keys, and the head is %+v, %v", len(f), changes.Head, err)
	}
	return p, nil
}
