package storetest_test

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

// listed breaks List: f gets its options.
func listed(f func(*apikey.ListOptions)) func(*broken) {
	return func(b *broken) {
		b.list = func(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
			f(&o)
			return b.full.List(ctx, o)
		}
	}
}

// revoking breaks RevokeAll: it revokes the keys that f selects, one by one.
func revoking(f func(owner string, key apikey.Key) bool) func(*broken) {
	return func(b *broken) {
		b.revokeAll = func(ctx context.Context, owner string) (n int, err error) {
			if _, err := (apikey.ListOptions{Owner: owner}).Validate(); err != nil || owner == "" {
				return 0, apikey.ErrInvalid
			}
			keys, err := b.everything(ctx, apikey.ListOptions{})
			for _, key := range keys {
				if f(owner, key) {
					b.full.Revoke(ctx, key.ID)
					n++
				}
			}
			return n, err
		}
	}
}

func alive(owner string, key apikey.Key) bool { return key.Owner == owner && key.RevokedAt.IsZero() }

var restrictDefects = []defect{
	{"Update ignores Suspended", rules("Suspend/a suspended key is refused until it is resumed", "Update/sets all fields of a Patch together"),
		patched(func(p *apikey.Patch) { p.Suspended = nil })},
	{"Update cannot resume", rules("Suspend/a suspended key is refused until it is resumed", "Suspend/suspending sets SuspendedAt to the current time, and resuming clears it"),
		patched(func(p *apikey.Patch) {
			if p.Suspended != nil && !*p.Suspended {
				p.Suspended = nil
			}
		})},
	{"Update resumes a key by any Patch", rules("Suspend/another Patch keeps a key suspended"),
		patched(func(p *apikey.Patch) {
			if p.Suspended == nil {
				p.Suspended = new(bool)
			}
		})},
	{"suspending also ends the key", rules("Suspend/suspending sets SuspendedAt to the current time, and resuming clears it"),
		patched(func(p *apikey.Patch) {
			if p.Suspended != nil {
				p.ExpiresAt = new(time.Now())
			}
		})},
	{"suspending moves SuspendedAt", rules("Suspend/suspending twice keeps the first time"), func(b *broken) {
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			if p.Suspended != nil && *p.Suspended {
				b.full.Update(ctx, id, apikey.Patch{Suspended: new(bool)})
			}
			return b.full.Update(ctx, id, p)
		}
	}},
	{"resuming revives revoked keys", rules("Suspend/a revoked key stays revoked when it is suspended and resumed"), func(b *broken) {
		revived := b.revive()
		b.update = func(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
			if p.Suspended != nil {
				revived(id)
			}
			return b.full.Update(ctx, id, p)
		}
	}},
	{"Replace rotates suspended keys", rules("Suspend/a suspended key cannot be replaced"), func(b *broken) {
		b.replace = func(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
			b.full.Update(ctx, id, apikey.Patch{Suspended: new(bool)})
			return b.full.Replace(ctx, id, expiresAt, d, successor)
		}
	}},
	{"List regards suspended keys as active", rules("Suspend/lists a suspended key as suspended, even if it has expired"),
		listed(func(o *apikey.ListOptions) {
			if o.Status == apikey.StatusSuspended {
				o.Status = apikey.StatusActive
			}
		})},
	{"the feed misses suspensions", rules("Suspend/the ChangeFeed lists the digest of a suspended and of a resumed key"), func(b *broken) {
		b.changes = func(ctx context.Context, since apikey.Version) (apikey.Changes, error) {
			c, err := b.full.Changes(ctx, since)
			c.Digests = nil
			return c, err
		}
	}},
	{"the store drops networks", rules("Networks/returns networks in their order, and 4-in-6 networks as IPv4 networks", "Create/Get returns every field"), func(b *broken) {
		b.edit = func(key *apikey.Key) { key.Networks = nil }
	}},
	{"the store keeps 50 networks", rules("Networks/accepts 100 networks with the longest text"), func(b *broken) {
		b.edit = func(key *apikey.Key) { key.Networks = key.Networks[:min(50, len(key.Networks))] }
	}},
	{"an empty Patch.Networks is ignored", rules("Networks/an empty Patch.Networks permits every network"),
		patched(func(p *apikey.Patch) {
			if p.Networks != nil && len(*p.Networks) == 0 {
				p.Networks = nil
			}
		})},
	{"a successor has no networks", rules("Networks/the successor of a key has its networks"), func(b *broken) {
		b.replace = func(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
			key, err := b.full.Replace(ctx, id, expiresAt, d, successor)
			if err == nil {
				key, err = b.full.Update(ctx, key.ID, apikey.Patch{Networks: &[]netip.Prefix{}})
			}
			return key, err
		}
	}},
	{"the store drops limits", rules("Limits/returns limits in their order", "Create/Get returns every field"), func(b *broken) {
		b.edit = func(key *apikey.Key) { key.Limits = nil }
	}},
	{"the store keeps 7 limits", rules("Limits/accepts 8 limits with the longest text"), func(b *broken) {
		b.edit = func(key *apikey.Key) { key.Limits = key.Limits[:min(7, len(key.Limits))] }
	}},
	{"an empty Patch.Limits is ignored", rules("Limits/an empty Patch.Limits removes the limits"),
		patched(func(p *apikey.Patch) {
			if p.Limits != nil && len(*p.Limits) == 0 {
				p.Limits = nil
			}
		})},
	{"a successor has no limits", rules("Limits/the successor of a key has its limits"), func(b *broken) {
		b.replace = func(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
			key, err := b.full.Replace(ctx, id, expiresAt, d, successor)
			if err == nil {
				key, err = b.full.Update(ctx, key.ID, apikey.Patch{Limits: &[]apikey.Limit{}})
			}
			return key, err
		}
	}},
	{"the store drops the Origin", rules("Limits/every successor has the Origin of the first key", "Create/Get returns every field"), func(b *broken) {
		b.edit = func(key *apikey.Key) { key.Origin = key.Replaces }
	}},
	{"RevokeAll folds the owner", rules("RevokeAll/revokes every key of the owner and no other key"),
		revoking(func(owner string, key apikey.Key) bool {
			return strings.EqualFold(owner, key.Owner) && key.RevokedAt.IsZero()
		})},
	{"RevokeAll omits suspended keys", rules("RevokeAll/revokes every key of the owner and no other key"),
		revoking(func(owner string, key apikey.Key) bool { return alive(owner, key) && key.SuspendedAt.IsZero() })},
	{"RevokeAll counts keys that are revoked", rules("RevokeAll/revokes no key in a second call"),
		revoking(func(owner string, key apikey.Key) bool { return key.Owner == owner })},
	{"RevokeAll writes no entry with the count", rules("RevokeAll/writes an audit entry for each key and one with the count"), revoking(alive)},
	{"RevokeAll stops after a hundred keys", rules("RevokeAll/revokes more keys than a page has"), func(b *broken) {
		left := 100
		revoking(func(owner string, key apikey.Key) bool {
			if !alive(owner, key) || left == 0 {
				return false
			}
			left--
			return true
		})(b)
	}},
	{"RevokeAll accepts an empty owner", rules("RevokeAll/returns ErrInvalid for an owner that no key can have"), func(b *broken) {
		b.revokeAll = func(ctx context.Context, owner string) (int, error) {
			if owner == "" {
				return 0, nil
			}
			return b.full.RevokeAll(ctx, owner)
		}
	}},
	{"RevokeAll ignores its context", rules("RevokeAll/revokes no key if the context is done"), func(b *broken) {
		b.revokeAll = func(ctx context.Context, owner string) (int, error) {
			return b.full.RevokeAll(context.WithoutCancel(ctx), owner)
		}
	}},
	{"RevokeAll is not seen at once", rules("RevokeAll/Lookup, the ChangeFeed and subscribers see the revocations at once"), func(b *broken) {
		stale(b)
		b.subscribe = func(func(apikey.Digest, apikey.Version)) func() { return func() {} }
	}},
	{"Scope finds a part of a scope", rules("Select/Scope selects the keys that have exactly this scope"),
		listed(func(o *apikey.ListOptions) { o.Search, o.Scope = o.Scope, "" })},
	{"ExpiresBefore includes its time", rules("Select/ExpiresBefore selects the keys that expire before that time"),
		listed(func(o *apikey.ListOptions) {
			if !o.ExpiresBefore.IsZero() {
				o.ExpiresBefore = o.ExpiresBefore.Add(time.Microsecond)
			}
		})},
	{"UnusedSince is ignored", rules("Select/UnusedSince selects the keys that were created before that time and not used since", "Select/returns ErrInvalid for the cursor of another selection"),
		listed(func(o *apikey.ListOptions) { o.UnusedSince = time.Time{} })},
	{"List ignores one of two selections", rules("Select/applies all selections together, page by page"),
		listed(func(o *apikey.ListOptions) {
			if o.Scope != "" && !o.ExpiresBefore.IsZero() {
				o.ExpiresBefore = time.Time{}
			}
		})},
	{"a selection is not validated", rules("Select/returns ErrInvalid for a selection out of its limits"),
		listed(func(o *apikey.ListOptions) {
			if _, err := o.Validate(); err != nil && o.Cursor == "" {
				*o = apikey.ListOptions{}
			}
		})},
}
