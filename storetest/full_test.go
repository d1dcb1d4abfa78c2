package storetest_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// A full store is a memstore with the abilities that memstore lacks: it is an Auditor, it
// collects last uses until they are flushed, and it searches within a budget.
type full struct {
	*memstore.Store

	mu      sync.Mutex
	entries []apikey.AuditEntry // the oldest first
	uses    []use
}

type use struct {
	digest apikey.Digest
	at     time.Time
}

func newFull() *full { return &full{Store: memstore.New()} }

// record does a write together with its entry.
func (f *full) record(ctx context.Context, action, id string, write func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := write(); err != nil {
		return err
	}
	f.entries = append(f.entries, apikey.AuditEntry{At: time.Now().UTC(), Actor: apikey.Actor(ctx), Action: action, KeyID: id})
	return nil
}

func (f *full) Create(ctx context.Context, d apikey.Digest, key apikey.Key) error {
	return f.record(ctx, "create", key.ID, func() error { return f.Store.Create(ctx, d, key) })
}

func (f *full) Update(ctx context.Context, id string, p apikey.Patch) (key apikey.Key, err error) {
	err = f.record(ctx, "update", id, func() error { key, err = f.Store.Update(ctx, id, p); return err })
	return key, err
}

func (f *full) Replace(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (key apikey.Key, err error) {
	err = f.record(ctx, "replace", id, func() error { key, err = f.Store.Replace(ctx, id, expiresAt, d, successor); return err })
	return key, err
}

func (f *full) Revoke(ctx context.Context, id string) (key apikey.Key, err error) {
	err = f.record(ctx, "revoke", id, func() error { key, err = f.Store.Revoke(ctx, id); return err })
	return key, err
}

// List searches one key at a time: pages of a search are short, and every other one is
// empty and has a Next.
func (f *full) List(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
	if o.Search == "" && o.Status == "" {
		return f.Store.List(ctx, o)
	}
	cursor, resumed := strings.CutPrefix(o.Cursor, "~")
	if resumed && cursor == "" {
		return apikey.Page{}, fmt.Errorf("%w Cursor", apikey.ErrInvalid)
	}
	pause := o.Cursor != "" && !resumed
	o.Cursor = cursor
	if _, err := o.Validate(); err == nil {
		o.Limit = 1
	}
	page, err := f.Store.List(ctx, o)
	if pause && err == nil {
		page = apikey.Page{Next: "~" + cursor}
	}
	return page, err
}

func (f *full) Touch(d apikey.Digest, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uses = append(f.uses, use{d, at})
}

func (f *full) Flush(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, u := range f.uses {
		f.Store.Touch(u.digest, u.at)
	}
	f.uses = nil
	return nil
}

func (f *full) Audit(_ context.Context, keyID, cursor string, limit int) (entries []apikey.AuditEntry, next string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	end := len(f.entries)
	if cursor != "" {
		if end, err = strconv.Atoi(cursor); err != nil || end < 0 || end > len(f.entries) {
			return nil, "", fmt.Errorf("%w cursor", apikey.ErrInvalid)
		}
	}
	if limit < 0 || limit > 500 {
		return nil, "", fmt.Errorf("%w limit %d", apikey.ErrInvalid, limit)
	}
	if limit == 0 {
		limit = 50
	}
	for i, e := range slices.Backward(f.entries[:end]) {
		if keyID != "" && e.KeyID != keyID {
			continue
		}
		if len(entries) == limit {
			return entries, strconv.Itoa(i + 1), nil
		}
		entries = append(entries, e)
	}
	return entries, "", nil
}
