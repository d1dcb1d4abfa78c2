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
	{"Create drops Owner", rules("Create/Get returns every field", "Create/Lookup returns every field", "Create/List returns every field"), func(b *broken) {
		b.edit = func(key *apikey.Key) { key.Owner = "" }
	}},
	{"times are truncated to the second", rules("Create/stores times in UTC to the microsecond", "Create/stores the first and the last valid time", "Update/stores times in UTC to the microsecond", "Replace/stores expiresAt in UTC to the microsecond"), func(b *broken) {
		b.edit = func(key *apikey.Key) {
			key.CreatedAt, key.ExpiresAt = key.CreatedAt.Truncate(time.Second), key.ExpiresAt.Truncate(time.Second)
		}
	}},
	{"times are in local time", rules("Create/stores times in UTC to the microsecond", "Touch/Get and List return the last use"), func(b *broken) {
		b.edit = func(key *apikey.Key) { key.CreatedAt = key.CreatedAt.In(time.FixedZone("", 0)) }
	}},
	{"no expiry becomes 1970", rules("Create/stores a key that has only ID and Name"), func(b *broken) {
		b.edit = func(key *apikey.Key) {
			if key.ExpiresAt.IsZero() {
				key.ExpiresAt = time.Unix(0, 0).UTC()
			}
		}
	}},
	{"scopes are sorted", rules("Create/preserves the order and characters of Scopes"), func(b *broken) {
		b.edit = func(key *apikey.Key) { slices.Sort(key.Scopes) }
	}},
	{"scopes are joined by commas", rules("Create/preserves the order and characters of Scopes"), func(b *broken) {
		b.edit = func(key *apikey.Key) { key.Scopes = strings.Split(strings.Join(key.Scopes, ","), ",") }
	}},
	{"Metadata without a value is dropped", rules("Create/preserves unusual Metadata"), func(b *broken) {
		b.edit = func(key *apikey.Key) {
			for name, value := range key.Metadata {
				if value == "" {
					delete(key.Metadata, name)
				}
			}
		}
	}},
	{"names are trimmed", rules("Create/preserves names in every script and with every symbol"), func(b *broken) {
		b.edit = func(key *apikey.Key) { key.Name = strings.TrimSpace(key.Name) }
	}},
	{"Name is truncated at 255 bytes and Owner at 100", rules("Create/stores a name of 100 characters of 4 bytes", "Create/stores the longest fields"), func(b *broken) {
		b.edit = func(key *apikey.Key) {
			key.Name, key.Owner = key.Name[:min(len(key.Name), 255)], key.Owner[:min(len(key.Owner), 100)]
		}
	}},
	{"a taken ID is overwritten", rules("Create/returns ErrExists for a taken ID and keeps the first key", "Revoke/no later write undoes a revocation", "Concurrency/one of several creations with one ID succeeds"), func(b *broken) {
		overwritten := make(map[string]apikey.Key)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			err := b.full.Create(ctx, d, key)
			if _, missing := b.full.Get(ctx, key.ID); errors.Is(err, apikey.ErrExists) && missing == nil {
				b.mu.Lock()
				defer b.mu.Unlock()
				overwritten[key.ID] = key
				return nil
			}
			return err
		}
		b.edit = func(key *apikey.Key) {
			if other, ok := overwritten[key.ID]; ok {
				*key = other.Clone()
			}
		}
	}},
	{"a taken digest is overwritten", rules("Create/returns ErrExists for a taken digest and keeps the first key", "Concurrency/one of several creations with one digest succeeds"), func(b *broken) {
		overwritten := make(map[apikey.Digest]*apikey.Key)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			err := b.full.Create(ctx, d, key)
			if found, _ := b.full.Lookup(ctx, d); errors.Is(err, apikey.ErrExists) && found.ID != key.ID {
				b.mu.Lock()
				defer b.mu.Unlock()
				overwritten[d] = &key
				return nil
			}
			return err
		}
		b.afterLookup(func(_ context.Context, d apikey.Digest, key *apikey.Key, err error) (*apikey.Key, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if overwritten[d] != nil {
				return overwritten[d], nil
			}
			return key, err
		})
	}},
	{"Create accepts a revoked key again", rules("Create/the ID and digest of a revoked key stay taken"), func(b *broken) {
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			err := b.full.Create(ctx, d, key)
			if old, missing := b.full.Get(ctx, key.ID); missing == nil && !old.RevokedAt.IsZero() {
				return nil
			}
			return err
		}
	}},
	{"a refused Create takes the ID", rules("Create/a refused Create leaves its ID and digest free"), func(b *broken) {
		taken := make(map[string]bool)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			if taken[key.ID] {
				return apikey.ErrExists
			}
			taken[key.ID] = true
			return b.full.Create(ctx, d, key)
		}
	}},
	{"names are unique", rules("Create/accepts two keys with the same name"), func(b *broken) {
		taken := make(map[string]bool)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			if taken[key.Name] {
				return apikey.ErrExists
			}
			taken[key.Name] = true
			return b.full.Create(ctx, d, key)
		}
	}},
	{"IDs are compared without regard to case", rules("Create/IDs that differ only in case are different keys", "Get/compares IDs exactly"), func(b *broken) {
		exact := make(map[string]string)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			if exact[strings.ToLower(key.ID)] != "" {
				return apikey.ErrExists
			}
			exact[strings.ToLower(key.ID)] = key.ID
			return b.full.Create(ctx, d, key)
		}
		b.get = func(ctx context.Context, id string) (apikey.Key, error) {
			return b.full.Get(ctx, exact[strings.ToLower(id)])
		}
	}},
	{"Create retains its argument", rules("Create/does not retain its argument"), func(b *broken) {
		scopes := make(map[string][]string)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			scopes[key.ID] = key.Scopes
			return b.full.Create(ctx, d, key)
		}
		b.edit = func(key *apikey.Key) { key.Scopes = slices.Clone(scopes[key.ID]) }
	}},
	{"nothing is validated", rules(
		"Validation/ID out of its limits returns ErrInvalid and writes nothing",
		"Validation/Name out of its limits returns ErrInvalid and writes nothing",
		"Validation/Owner out of its limits returns ErrInvalid and writes nothing",
		"Validation/Scopes out of its limits returns ErrInvalid and writes nothing",
		"Validation/Metadata out of its limits returns ErrInvalid and writes nothing",
		"Validation/Hint out of its limits returns ErrInvalid and writes nothing",
		"Validation/Replaces out of its limits returns ErrInvalid and writes nothing",
		"Validation/CreatedAt or ExpiresAt or RevokedAt or SuspendedAt out of its limits returns ErrInvalid and writes nothing",
		"Replace/returns ErrInvalid for an invalid successor or expiresAt and changes nothing",
	), func(b *broken) {
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
	{"Update validates nothing", rules(
		"Validation/Name out of its limits returns ErrInvalid and writes nothing",
		"Validation/Scopes out of its limits returns ErrInvalid and writes nothing",
		"Validation/Metadata out of its limits returns ErrInvalid and writes nothing",
		"Validation/CreatedAt or ExpiresAt or RevokedAt or SuspendedAt out of its limits returns ErrInvalid and writes nothing",
	), func(b *broken) {
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			key, err := b.full.Update(ctx, id, p)
			if errors.Is(err, apikey.ErrInvalid) {
				return b.full.Get(ctx, id)
			}
			return key, err
		}
	}},
}
