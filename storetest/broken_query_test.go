package storetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

var queryDefects = []defect{
	{"Status active includes expired keys", rules("List/every key has exactly one Status", "List/Status follows every change of a key"), func(b *broken) {
		b.reorder(func(o apikey.ListOptions, keys []apikey.Key) []apikey.Key {
			if o.Status == apikey.StatusActive {
				o.Status = ""
				keys, _ = b.everything(context.Background(), o)
				keys = slices.DeleteFunc(keys, func(key apikey.Key) bool { return !key.RevokedAt.IsZero() })
			}
			return keys
		})
	}},
	{"Status expired includes revoked keys", rules("List/a revoked and expired key has the Status revoked"), func(b *broken) {
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
	{"Owner is compared without case and trailing spaces", rules("List/compares Owner exactly"), func(b *broken) {
		b.reorder(func(o apikey.ListOptions, _ []apikey.Key) []apikey.Key {
			owner := o.Owner
			o.Owner = ""
			keys, _ := b.everything(context.Background(), o)
			return slices.DeleteFunc(keys, func(key apikey.Key) bool {
				return owner != "" && !strings.EqualFold(strings.TrimRight(key.Owner, " "), strings.TrimRight(owner, " "))
			})
		})
	}},
	{"invalid text is an outage", rules("List/an invalid Owner selects nothing", "List/a Search for invalid text finds nothing"), func(b *broken) {
		b.afterList(func(o apikey.ListOptions, page apikey.Page, err error) (apikey.Page, error) {
			if strings.Contains(o.Owner+o.Search, "\x00") {
				err = errors.New("invalid byte sequence")
			}
			return page, err
		})
	}},
	{"Owner searches the first 5,000 keys only", rules("List/a list does not depend on other keys"), func(b *broken) {
		b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
			owner := o.Owner
			if owner == "" || o.Cursor != "" {
				return b.full.List(ctx, o)
			}
			o.Owner, o.Limit = "", 500
			var page apikey.Page
			for range 10 {
				all, err := b.full.List(ctx, o)
				if err != nil {
					return apikey.Page{}, err
				}
				for _, key := range all.Keys {
					if key.Owner == owner {
						page.Keys = append(page.Keys, key)
					}
				}
				if page.Next, o.Cursor = all.Next, all.Next; all.Next == "" {
					break
				}
			}
			return page, nil
		}
	}},
	{"Search ignores fields other than Name", rules("List/Search finds text in Name, ID, Hint, Owner and Scopes only"), search(func(key apikey.Key, text string) bool {
		return strings.Contains(strings.ToLower(key.Name), strings.ToLower(text))
	})},
	{"Search finds Metadata", rules("List/Search finds text in Name, ID, Hint, Owner and Scopes only"), search(func(key apikey.Key, text string) bool {
		return strings.Contains(strings.ToLower(key.Name+"\n"+key.ID+"\n"+key.Hint+"\n"+key.Metadata["needle"]), strings.ToLower(text))
	})},
	{"Search regards case", rules("List/Search ignores case"), search(func(key apikey.Key, text string) bool {
		return strings.Contains(key.Name+"\n"+key.ID+"\n"+key.Hint, text)
	})},
	{"Search regards case outside ASCII", rules("List/Search ignores case outside ASCII"), search(func(key apikey.Key, text string) bool {
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
	{"Search has a wildcard", rules("List/Search has no wildcards"), search(func(key apikey.Key, text string) bool {
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
	{"Search ignores Status and Owner", rules("List/Search combines with Owner and Status"), func(b *broken) {
		b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
			if o.Search != "" {
				o.Status, o.Owner = "", ""
			}
			return b.full.List(ctx, o)
		}
	}},
	{"Search ignores a rename", rules("List/Search and the sort by name follow a rename"), func(b *broken) {
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

// search replaces Search by match.
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
