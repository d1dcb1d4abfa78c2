package storetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

var createDefects = []defect{
	{"Owner is not kept", []string{"Create/every field comes back from Get", "Create/every field comes back from Lookup", "Create/every field comes back from List"}, func(b *broken) {
		b.see = func(key *apikey.Key) { key.Owner = "" }
	}},
	{"times are cut to the second", []string{"Create/times are kept to the microsecond and in UTC", "Create/the first and the last time that are allowed are kept", "Update/times are kept to the microsecond and in UTC", "Replace/the end is kept to the microsecond and in UTC"}, func(b *broken) {
		b.see = func(key *apikey.Key) {
			key.CreatedAt, key.ExpiresAt = key.CreatedAt.Truncate(time.Second), key.ExpiresAt.Truncate(time.Second)
		}
	}},
	{"times are in local time", []string{"Create/times are kept to the microsecond and in UTC", "Touch/Get and List tell the last use"}, func(b *broken) {
		b.see = func(key *apikey.Key) { key.CreatedAt = key.CreatedAt.In(time.FixedZone("", 0)) }
	}},
	{"never is 1970", one("Create/a key of ID and Name alone comes back with all else empty"), func(b *broken) {
		b.see = func(key *apikey.Key) {
			if key.ExpiresAt.IsZero() {
				key.ExpiresAt = time.Unix(0, 0).UTC()
			}
		}
	}},
	{"scopes are sorted", one("Create/scopes keep their order and every character"), func(b *broken) {
		b.see = func(key *apikey.Key) { slices.Sort(key.Scopes) }
	}},
	{"scopes are joined by commas", one("Create/scopes keep their order and every character"), func(b *broken) {
		b.see = func(key *apikey.Key) { key.Scopes = strings.Split(strings.Join(key.Scopes, ","), ",") }
	}},
	{"metadata without a value is lost", one("Create/metadata keeps odd names and values"), func(b *broken) {
		b.see = func(key *apikey.Key) {
			for name, value := range key.Metadata {
				if value == "" {
					delete(key.Metadata, name)
				}
			}
		}
	}},
	{"names lose their blanks", one("Create/names in every script and with every sign come back"), func(b *broken) {
		b.see = func(key *apikey.Key) { key.Name = strings.TrimSpace(key.Name) }
	}},
	{"names are cut at 255 bytes and Owners at 100", []string{"Create/a name of 100 characters of 4 bytes is kept", "Create/the longest fields are kept"}, func(b *broken) {
		b.see = func(key *apikey.Key) {
			key.Name, key.Owner = key.Name[:min(len(key.Name), 255)], key.Owner[:min(len(key.Owner), 100)]
		}
	}},
	{"LastUsedAt is taken over", []string{"Create/LastUsedAt is not taken over", "Replace/the successor has ID, Hint and times of its own and the rest from the old key"}, func(b *broken) {
		used := make(map[string]time.Time)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			used[key.ID] = key.LastUsedAt
			return b.full.Create(ctx, d, key)
		}
		b.replace = func(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
			used[successor.ID] = successor.LastUsedAt
			return b.full.Replace(ctx, id, expiresAt, d, successor)
		}
		b.see = func(key *apikey.Key) { key.LastUsedAt = used[key.ID].UTC() }
	}},
	{"a taken ID is overwritten", []string{"Create/a taken ID is ErrExists and leaves the first key alone", "Revoke/no write that follows undoes it", "Concurrency/of creations with one ID exactly one wins"}, func(b *broken) {
		over := make(map[string]apikey.Key)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			err := b.full.Create(ctx, d, key)
			if _, missing := b.full.Get(ctx, key.ID); errors.Is(err, apikey.ErrExists) && missing == nil {
				b.mu.Lock()
				defer b.mu.Unlock()
				over[key.ID] = key
				return nil
			}
			return err
		}
		b.see = func(key *apikey.Key) {
			if other, ok := over[key.ID]; ok {
				*key = other.Clone()
			}
		}
	}},
	{"a taken digest is overwritten", []string{"Create/a taken digest is ErrExists and leaves the first key alone", "Concurrency/of creations with one digest exactly one wins"}, func(b *broken) {
		over := make(map[apikey.Digest]*apikey.Key)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			err := b.full.Create(ctx, d, key)
			if found, _ := b.full.Lookup(ctx, d); errors.Is(err, apikey.ErrExists) && found.ID != key.ID {
				b.mu.Lock()
				defer b.mu.Unlock()
				over[d] = &key
				return nil
			}
			return err
		}
		b.afterLookup(func(_ context.Context, d apikey.Digest, key *apikey.Key, err error) (*apikey.Key, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if over[d] != nil {
				return over[d], nil
			}
			return key, err
		})
	}},
	{"revoked keys can be created again", one("Create/the ID and the digest of a revoked key stay taken"), func(b *broken) {
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			err := b.full.Create(ctx, d, key)
			if old, missing := b.full.Get(ctx, key.ID); missing == nil && !old.RevokedAt.IsZero() {
				return nil
			}
			return err
		}
	}},
	{"the ID of a refused key is taken", one("Create/a key that was refused can be created afterwards"), func(b *broken) {
		taken := make(map[string]bool)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			if taken[key.ID] {
				return apikey.ErrExists
			}
			taken[key.ID] = true
			return b.full.Create(ctx, d, key)
		}
	}},
	{"names are unique", one("Create/two keys may have the same name"), func(b *broken) {
		taken := make(map[string]bool)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			if taken[key.Name] {
				return apikey.ErrExists
			}
			taken[key.Name] = true
			return b.full.Create(ctx, d, key)
		}
	}},
	{"IDs are compared without case", []string{"Create/IDs that differ only by case are different keys", "Get/IDs are compared exactly"}, func(b *broken) {
		known := make(map[string]string)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			if known[strings.ToLower(key.ID)] != "" {
				return apikey.ErrExists
			}
			known[strings.ToLower(key.ID)] = key.ID
			return b.full.Create(ctx, d, key)
		}
		b.get = func(ctx context.Context, id string) (apikey.Key, error) {
			return b.full.Get(ctx, known[strings.ToLower(id)])
		}
	}},
	{"Create keeps its argument", one("Create/no memory of the argument is kept"), func(b *broken) {
		scopes := make(map[string][]string)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			scopes[key.ID] = key.Scopes
			return b.full.Create(ctx, d, key)
		}
		b.see = func(key *apikey.Key) { key.Scopes = slices.Clone(scopes[key.ID]) }
	}},
	{"nothing is validated", []string{
		"Validation/ID out of its limits is ErrInvalid and nothing is written",
		"Validation/Name out of its limits is ErrInvalid and nothing is written",
		"Validation/Owner out of its limits is ErrInvalid and nothing is written",
		"Validation/Scopes out of its limits is ErrInvalid and nothing is written",
		"Validation/Metadata out of its limits is ErrInvalid and nothing is written",
		"Validation/Hint out of its limits is ErrInvalid and nothing is written",
		"Validation/Replaces out of its limits is ErrInvalid and nothing is written",
		"Validation/CreatedAt or ExpiresAt or RevokedAt out of its limits is ErrInvalid and nothing is written",
		"Replace/an invalid successor or end is ErrInvalid and changes nothing",
	}, func(b *broken) {
		valid := func(err error) error {
			if errors.Is(err, apikey.ErrInvalid) {
				return nil
			}
			return err
		}
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			return valid(b.full.Create(ctx, d, key))
		}
		b.replace = func(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
			key, err := b.full.Replace(ctx, id, expiresAt, d, successor)
			return key, valid(err)
		}
	}},
	{"Update validates nothing", []string{
		"Validation/Name out of its limits is ErrInvalid and nothing is written",
		"Validation/Scopes out of its limits is ErrInvalid and nothing is written",
		"Validation/Metadata out of its limits is ErrInvalid and nothing is written",
		"Validation/CreatedAt or ExpiresAt or RevokedAt out of its limits is ErrInvalid and nothing is written",
	}, func(b *broken) {
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			key, err := b.full.Update(ctx, id, p)
			if errors.Is(err, apikey.ErrInvalid) {
				return b.full.Get(ctx, id)
			}
			return key, err
		}
	}},
}
