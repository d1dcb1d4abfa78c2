package storetest_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/latchkey-dev/apikey"
)

// everything returns all keys that options select.
func (b *broken) everything(ctx context.Context, o apikey.ListOptions) ([]apikey.Key, error) {
	o.Cursor, o.Limit = "", 500
	page, err := b.full.Store.List(ctx, o)
	return page.Keys, err
}

// reorder replaces List. f gets all selected keys and returns the keys to list. The Cursor of a page
// is the ID of its last key.
func (b *broken) reorder(f func(o apikey.ListOptions, keys []apikey.Key) []apikey.Key) {
	b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
		keys, err := b.everything(ctx, o)
		if err != nil {
			return apikey.Page{}, err
		}
		keys = f(o, keys)
		if o.Cursor != "" {
			i := slices.IndexFunc(keys, func(key apikey.Key) bool { return key.ID == o.Cursor })
			if i < 0 {
				return apikey.Page{}, apikey.ErrInvalid
			}
			keys = keys[i+1:]
		}
		var next string
		if limit := cmp.Or(o.Limit, 50); len(keys) > limit {
			keys = keys[:limit]
			next = keys[limit-1].ID
		}
		return apikey.Page{Keys: keys, Next: next}, nil
	}
}

// afterList replaces List. f gets the correct result and returns another.
func (b *broken) afterList(f func(o apikey.ListOptions, page apikey.Page, err error) (apikey.Page, error)) {
	b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
		page, err := b.full.List(ctx, o)
		return f(o, page, err)
	}
}

var listDefects = []defect{
	{"List of an empty store returns an error", rules("List/returns an empty last page for an empty store"), func(b *broken) {
		b.afterList(func(o apikey.ListOptions, page apikey.Page, err error) (apikey.Page, error) {
			if len(page.Keys) == 0 && page.Next == "" {
				return page, cmp.Or(err, apikey.ErrNotFound)
			}
			return page, err
		})
	}},
	{"List sorts the oldest key first", rules("List/sorts the newest key first"), func(b *broken) {
		b.reorder(func(o apikey.ListOptions, keys []apikey.Key) []apikey.Key {
			slices.Reverse(keys)
			return keys
		})
	}},
	{"names are sorted with regard to case", rules("List/sorts names without regard to case"), func(b *broken) {
		b.reorder(func(o apikey.ListOptions, keys []apikey.Key) []apikey.Key {
			if o.Sort == apikey.SortName {
				slices.SortStableFunc(keys, func(a, b apikey.Key) int { return cmp.Compare(a.Name, b.Name) })
			}
			return keys
		})
	}},
	{"equal names are sorted by age, the newest first", rules("List/sorts equal names by age, the oldest first"), func(b *broken) {
		b.reorder(func(o apikey.ListOptions, keys []apikey.Key) []apikey.Key {
			if o.Sort == apikey.SortName {
				slices.Reverse(keys)
				slices.SortStableFunc(keys, func(a, b apikey.Key) int {
					return cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
				})
			}
			return keys
		})
	}},
	{"keys that never expire are sorted first", rules("List/sorts by expiry, keys that never expire last"), func(b *broken) {
		b.reorder(func(o apikey.ListOptions, keys []apikey.Key) []apikey.Key {
			if o.Sort == apikey.SortExpires {
				slices.SortStableFunc(keys, func(a, b apikey.Key) int { return a.ExpiresAt.Compare(b.ExpiresAt) })
			}
			return keys
		})
	}},
	{"List does not see changes", rules("List/shows an update and a revocation at once"), func(b *broken) {
		first := make(map[string]apikey.Key)
		b.afterList(func(o apikey.ListOptions, page apikey.Page, err error) (apikey.Page, error) {
			for i, key := range page.Keys {
				if _, ok := first[key.ID]; !ok {
					first[key.ID] = key
				}
				page.Keys[i] = first[key.ID]
			}
			return page, err
		})
	}},
	{"a page has 20 keys by default", rules("List/a page has 50 keys by default"), func(b *broken) {
		b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
			o.Limit = cmp.Or(o.Limit, 20)
			return b.full.List(ctx, o)
		}
	}},
	{"a page exceeds its Limit", rules("List/pages of any size list every key once"), func(b *broken) {
		b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
			if o.Limit > 0 && o.Limit < 500 {
				o.Limit++
			}
			return b.full.Store.List(ctx, o)
		}
	}},
	{"List ignores Cursor", rules("List/pages of any size list every key once"), func(b *broken) {
		b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
			o.Cursor = ""
			return b.full.List(ctx, o)
		}
	}},
	{"List skips the first key of a page", rules("List/pages of any size list every key once", "List/pages of one Status list every key once in every sort", "List/pages of one Owner list every key once in every sort", "List/pages of a Search list every key once in every sort", "List/a Cursor is valid with another Limit and with the default Sort named"), func(b *broken) {
		b.afterList(func(o apikey.ListOptions, page apikey.Page, err error) (apikey.Page, error) {
			if o.Cursor != "" && len(page.Keys) > 0 {
				page.Keys = page.Keys[1:]
			}
			return page, err
		})
	}},
	{"List returns one page", rules("List/pages of any size list every key once"), func(b *broken) {
		b.afterList(func(o apikey.ListOptions, page apikey.Page, err error) (apikey.Page, error) {
			page.Next = ""
			return page, err
		})
	}},
	{"List pages by offset", rules("List/creations between pages neither repeat nor skip other keys", "List/revoking every listed key between pages skips no key"), func(b *broken) {
		b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
			keys, err := b.everything(ctx, o)
			offset, _ := strconv.Atoi(o.Cursor)
			keys = keys[min(offset, len(keys)):]
			page := apikey.Page{Keys: keys}
			if limit := cmp.Or(o.Limit, 50); len(keys) > limit {
				page = apikey.Page{Keys: keys[:limit], Next: strconv.Itoa(offset + limit)}
			}
			return page, err
		}
	}},
	{"List sorts revoked keys last", rules("List/revocations between pages neither repeat nor skip other keys"), func(b *broken) {
		b.reorder(func(o apikey.ListOptions, keys []apikey.Key) []apikey.Key {
			slices.SortStableFunc(keys, func(a, b apikey.Key) int {
				return cmp.Compare(a.RevokedAt.UnixMicro(), b.RevokedAt.UnixMicro())
			})
			return keys
		})
	}},
	{"List accepts any Cursor", rules("List/returns ErrInvalid for a Cursor that does not decode", "List/returns ErrInvalid for a Cursor of another query", "List/a truncated Cursor never returns another page"), func(b *broken) {
		b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
			page, err := b.full.List(ctx, o)
			if errors.Is(err, apikey.ErrInvalid) && o.Cursor != "" {
				o.Cursor = ""
				return b.full.List(ctx, o)
			}
			return page, err
		}
	}},
	{"an invalid Cursor is an outage", rules("List/a truncated Cursor never returns another page"), func(b *broken) {
		b.afterList(func(o apikey.ListOptions, page apikey.Page, err error) (apikey.Page, error) {
			if o.Cursor != "" && err != nil {
				err = errors.New("illegal base64 data")
			}
			return page, err
		})
	}},
	{"Limit is clamped to its range", rules("List/returns ErrInvalid for options out of range"), func(b *broken) {
		b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
			o.Limit = min(max(o.Limit, 0), 500)
			return b.full.List(ctx, o)
		}
	}},
}
