package storetest_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

// everything returns the list that options select, on one page.
func (b *broken) everything(ctx context.Context, o apikey.ListOptions) ([]apikey.Key, error) {
	o.Cursor, o.Limit = "", 500
	page, err := b.full.Store.List(ctx, o)
	return page.Keys, err
}

// reorder breaks List: f gets all keys that are selected and returns those to list, which
// are then paged by their ID.
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

// afterList breaks List: f gets what it would return.
func (b *broken) afterList(f func(o apikey.ListOptions, page apikey.Page, err error) (apikey.Page, error)) {
	b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
		page, err := b.full.List(ctx, o)
		return f(o, page, err)
	}
}

var listDefects = []defect{
	{"an empty list is an error", one("List/an empty store has an empty last page"), func(b *broken) {
		b.afterList(func(o apikey.ListOptions, page apikey.Page, err error) (apikey.Page, error) {
			if len(page.Keys) == 0 && page.Next == "" {
				return page, cmp.Or(err, apikey.ErrNotFound)
			}
			return page, err
		})
	}},
	{"the oldest key comes first", one("List/the newest key comes first"), func(b *broken) {
		b.reorder(func(o apikey.ListOptions, keys []apikey.Key) []apikey.Key {
			slices.Reverse(keys)
			return keys
		})
	}},
	{"names are sorted by bytes", one("List/by name goes without case"), func(b *broken) {
		b.reorder(func(o apikey.ListOptions, keys []apikey.Key) []apikey.Key {
			if o.Sort == apikey.SortName {
				slices.SortStableFunc(keys, func(a, b apikey.Key) int { return cmp.Compare(a.Name, b.Name) })
			}
			return keys
		})
	}},
	{"of equal names the newest comes first", one("List/of equal names the first created comes first"), func(b *broken) {
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
	{"what never expires comes first", one("List/by expiry the soonest comes first and never last"), func(b *broken) {
		b.reorder(func(o apikey.ListOptions, keys []apikey.Key) []apikey.Key {
			if o.Sort == apikey.SortExpires {
				slices.SortStableFunc(keys, func(a, b apikey.Key) int { return a.ExpiresAt.Compare(b.ExpiresAt) })
			}
			return keys
		})
	}},
	{"List does not see changes", one("List/an update and a revocation show at once"), func(b *broken) {
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
	{"a page has 20 keys", one("List/a page has 50 keys unless told otherwise"), func(b *broken) {
		b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
			o.Limit = cmp.Or(o.Limit, 20)
			return b.full.List(ctx, o)
		}
	}},
	{"a page has one key more than its limit", one("List/pages have every key once, whatever their size"), func(b *broken) {
		b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
			if o.Limit > 0 && o.Limit < 500 {
				o.Limit++
			}
			return b.full.Store.List(ctx, o)
		}
	}},
	{"the cursor is forgotten", one("List/pages have every key once, whatever their size"), func(b *broken) {
		b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
			o.Cursor = ""
			return b.full.List(ctx, o)
		}
	}},
	{"a key is skipped at the beginning of a page", []string{"List/pages have every key once, whatever their size", "List/pages of one Status have every key once in every sort", "List/pages of one Owner have every key once in every sort", "List/pages of a Search have every key once in every sort", "List/a Cursor goes on under another Limit, and under the default sort by its name"}, func(b *broken) {
		b.afterList(func(o apikey.ListOptions, page apikey.Page, err error) (apikey.Page, error) {
			if o.Cursor != "" && len(page.Keys) > 0 {
				page.Keys = page.Keys[1:]
			}
			return page, err
		})
	}},
	{"a page ends the list when it is full", one("List/pages have every key once, whatever their size"), func(b *broken) {
		b.afterList(func(o apikey.ListOptions, page apikey.Page, err error) (apikey.Page, error) {
			page.Next = ""
			return page, err
		})
	}},
	{"pages are counted by offset", []string{"List/creations between pages neither repeat nor skip other keys", "List/walking the active keys and revoking each skips none"}, func(b *broken) {
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
	{"revoked keys come last", one("List/revocations between pages neither repeat nor skip other keys"), func(b *broken) {
		b.reorder(func(o apikey.ListOptions, keys []apikey.Key) []apikey.Key {
			slices.SortStableFunc(keys, func(a, b apikey.Key) int {
				return cmp.Compare(a.RevokedAt.UnixMicro(), b.RevokedAt.UnixMicro())
			})
			return keys
		})
	}},
	{"any cursor is taken", []string{"List/a Cursor that does not decode is ErrInvalid", "List/a Cursor of another query is ErrInvalid", "List/a Cursor that was cut short is ErrInvalid and no other page"}, func(b *broken) {
		b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
			page, err := b.full.List(ctx, o)
			if errors.Is(err, apikey.ErrInvalid) && o.Cursor != "" {
				o.Cursor = ""
				return b.full.List(ctx, o)
			}
			return page, err
		}
	}},
	{"a bad cursor is an outage", one("List/a Cursor that was cut short is ErrInvalid and no other page"), func(b *broken) {
		b.afterList(func(o apikey.ListOptions, page apikey.Page, err error) (apikey.Page, error) {
			if o.Cursor != "" && err != nil {
				err = errors.New("illegal base64 data")
			}
			return page, err
		})
	}},
	{"options out of range are brought into it", one("List/a Status, Sort, Limit or Search out of range is ErrInvalid"), func(b *broken) {
		b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
			o.Limit = min(max(o.Limit, 0), 500)
			return b.full.List(ctx, o)
		}
	}},
}

var queryDefects = []defect{
	{"Status knows no expiry", []string{"List/every key is active, expired or revoked", "List/Status is followed by every change of a key"}, func(b *broken) {
		b.reorder(func(o apikey.ListOptions, keys []apikey.Key) []apikey.Key {
			if o.Status == apikey.StatusActive {
				o.Status = ""
				keys, _ = b.everything(context.Background(), o)
				keys = slices.DeleteFunc(keys, func(key apikey.Key) bool { return !key.RevokedAt.IsZero() })
			}
			return keys
		})
	}},
	{"revoked keys expire", one("List/a key that is revoked and expired is revoked"), func(b *broken) {
		b.reorder(func(o apikey.ListOptions, keys []apikey.Key) []apikey.Key {
			if o.Status == apikey.StatusExpired {
				o.Status = ""
				keys, _ = b.everything(context.Background(), o)
				keys = slices.DeleteFunc(keys, func(key apikey.Key) bool {
					return key.ExpiresAt.IsZero() || key.ExpiresAt.After(time.Now())
				})
			}
			return keys
		})
	}},
	{"Owners are padded and have no case", one("List/Owner is compared exactly"), func(b *broken) {
		b.reorder(func(o apikey.ListOptions, _ []apikey.Key) []apikey.Key {
			owner := o.Owner
			o.Owner = ""
			keys, _ := b.everything(context.Background(), o)
			return slices.DeleteFunc(keys, func(key apikey.Key) bool {
				return owner != "" && !strings.EqualFold(strings.TrimRight(key.Owner, " "), strings.TrimRight(owner, " "))
			})
		})
	}},
	{"odd texts are an outage", []string{"List/an Owner that no key can have selects nothing", "List/a Search for what no key can hold finds nothing"}, func(b *broken) {
		b.afterList(func(o apikey.ListOptions, page apikey.Page, err error) (apikey.Page, error) {
			if strings.Contains(o.Owner+o.Search, "\x00") {
				err = errors.New("invalid byte sequence")
			}
			return page, err
		})
	}},
	{"Search looks in Name alone", one("List/Search looks in Name, ID and Hint and nowhere else"), search(func(key apikey.Key, text string) bool {
		return strings.Contains(strings.ToLower(key.Name), strings.ToLower(text))
	})},
	{"Search looks in Owner", one("List/Search looks in Name, ID and Hint and nowhere else"), search(func(key apikey.Key, text string) bool {
		return strings.Contains(strings.ToLower(key.Name+"\n"+key.ID+"\n"+key.Hint+"\n"+key.Owner), strings.ToLower(text))
	})},
	{"Search goes by case", one("List/Search goes without case"), search(func(key apikey.Key, text string) bool {
		return strings.Contains(key.Name+"\n"+key.ID+"\n"+key.Hint, text)
	})},
	{"Search folds ASCII alone", one("List/Search goes without case outside ASCII too"), search(func(key apikey.Key, text string) bool {
		fold := func(s string) string {
			return strings.Map(func(r rune) rune {
				if 'A' <= r && r <= 'Z' {
					r += 'a' - 'A'
				}
				return r
			}, s)
		}
		return strings.Contains(fold(key.Name), fold(text))
	})},
	{"Search has a wildcard", one("List/Search has no wildcards"), search(func(key apikey.Key, text string) bool {
		rest := strings.ToLower(key.Name)
		for part := range strings.SplitSeq(strings.ToLower(text), "%") {
			_, after, found := strings.Cut(rest, part)
			if !found {
				return false
			}
			rest = after
		}
		return true
	})},
	{"Search ignores Status and Owner", one("List/Search is combined with Owner and Status"), func(b *broken) {
		b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
			if o.Search != "" {
				o.Status, o.Owner = "", ""
			}
			return b.full.List(ctx, o)
		}
	}},
	{"a name is searched and sorted as it was first", one("List/Search and the sort by name follow a renaming"), func(b *broken) {
		first := make(map[string]string)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			first[key.ID] = key.Name
			return b.full.Create(ctx, d, key)
		}
		b.reorder(func(o apikey.ListOptions, keys []apikey.Key) []apikey.Key {
			if o.Search != "" {
				text := o.Search
				o.Search = ""
				keys, _ = b.everything(context.Background(), o)
				keys = slices.DeleteFunc(keys, func(key apikey.Key) bool { return !strings.Contains(first[key.ID], text) })
			}
			return keys
		})
	}},
}

// search breaks Search, which then finds the keys that match.
func search(match func(key apikey.Key, text string) bool) func(*broken) {
	return func(b *broken) {
		b.reorder(func(o apikey.ListOptions, _ []apikey.Key) []apikey.Key {
			text := o.Search
			o.Search = ""
			keys, _ := b.everything(context.Background(), o)
			return slices.DeleteFunc(keys, func(key apikey.Key) bool { return !match(key, text) })
		})
	}
}
