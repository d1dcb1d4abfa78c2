package storetest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// A full store is a memstore that collects last uses until Flush and searches within a budget.
type full struct {
	*memstore.Store

	mu   sync.Mutex
	uses []use
}

type use struct {
	apikey.Use
	digest apikey.Digest
}

func newFull() *full { return &full{Store: memstore.New()} }

// List searches one key at a time. Every other page of a search is empty and has a Next.
func (f *full) List(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
	if o.Search == "" {
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

func (f *full) Touch(d apikey.Digest, u apikey.Use) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uses = append(f.uses, use{u, d})
}

func (f *full) Flush(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, u := range f.uses {
		f.Store.Touch(u.digest, u.Use)
	}
	f.uses = nil
	return nil
}
