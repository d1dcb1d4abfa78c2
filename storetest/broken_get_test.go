package storetest_test

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

var getDefects = []defect{
	{"Get knows no error", []string{"Get/an unknown ID is ErrNotFound", "Get/an impossible ID is ErrNotFound", "Get/IDs are compared exactly"}, func(b *broken) {
		b.get = func(ctx context.Context, id string) (apikey.Key, error) {
			key, _ := b.full.Get(ctx, id)
			return key, nil
		}
	}},
	{"an impossible ID is an outage", []string{
		"Get/an impossible ID is ErrNotFound", "Update/an unknown or impossible ID is ErrNotFound",
		"Replace/an unknown or impossible ID is ErrNotFound and has no successor", "Revoke/an unknown or impossible ID is ErrNotFound",
	}, func(b *broken) {
		outage := func(id string) error {
			if strings.Contains(id, "\x00") {
				return errors.New("invalid byte sequence")
			}
			return nil
		}
		b.get = func(ctx context.Context, id string) (apikey.Key, error) {
			if err := outage(id); err != nil {
				return apikey.Key{}, err
			}
			return b.full.Get(ctx, id)
		}
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			if err := outage(id); err != nil {
				return apikey.Key{}, err
			}
			return b.full.Update(ctx, id, p)
		}
		b.replace = func(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
			if err := outage(id); err != nil {
				return apikey.Key{}, err
			}
			return b.full.Replace(ctx, id, expiresAt, d, successor)
		}
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			if err := outage(id); err != nil {
				return apikey.Key{}, err
			}
			return b.full.Revoke(ctx, id)
		}
	}},
	{"everyone is handed the same memory", []string{
		"Get/what it hands out is a copy", "List/what it hands out is a copy", "Update/no memory is shared with the Patch or with what it hands out",
		"Replace/what it hands out is a copy", "Revoke/what it hands out is a copy",
	}, func(b *broken) {
		scopes := make(map[string][]string)
		b.see = func(key *apikey.Key) {
			if mine, ok := scopes[key.ID]; ok && len(mine) == len(key.Scopes) {
				key.Scopes = mine
			}
			scopes[key.ID] = key.Scopes
		}
	}},
}
