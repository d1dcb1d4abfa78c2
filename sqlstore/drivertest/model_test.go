package drivertest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// A history executes the same operations on a database and on a store in memory.
type history struct {
	store *sqlstore.Store
	model *memstore.Store
	run   int // determines the owner of all keys of a run
}

func TestStoreMatchesModel(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		store, run := e.openStore(t, e.create(t), sqlstore.Options{}), 0
		rapid.Check(t, func(t *rapid.T) {
			run++
			h := &history{store, memstore.New(), run}
			t.Repeat(map[string]func(*rapid.T){
				"Create": func(t *rapid.T) {
					d, key := h.digest(t), h.key(t)
					h.agree(t, func(m apikey.KeyManager) (apikey.Key, error) { return apikey.Key{}, m.Create(t.Context(), d, key) })
				},
				"Update": func(t *rapid.T) {
					id, p := h.id(t), patch(t)
					h.agree(t, func(m apikey.KeyManager) (apikey.Key, error) { return m.Update(t.Context(), id, p) })
				},
				"Replace": func(t *rapid.T) {
					id, at, d, key := h.id(t), moment(t), h.digest(t), h.key(t)
					h.agree(t, func(m apikey.KeyManager) (apikey.Key, error) { return m.Replace(t.Context(), id, at, d, key) })
				},
				"Revoke": func(t *rapid.T) {
					id := h.id(t)
					h.agree(t, func(m apikey.KeyManager) (apikey.Key, error) { return m.Revoke(t.Context(), id) })
				},
				"Touch": func(t *rapid.T) {
					d, at := h.digest(t), time.Unix(rapid.Int64Range(1, 1<<32).Draw(t, "used"), 0)
					if _, err := h.model.Lookup(t.Context(), d); err != nil {
						return // a middleware touches only known keys
					}
					h.store.Touch(d, apikey.Use{At: at})
					h.model.Touch(d, apikey.Use{At: at})
					require.NoError(t, h.store.Flush(t.Context()))
				},
				"Get": func(t *rapid.T) {
					id := h.id(t)
					h.agree(t, func(m apikey.KeyManager) (apikey.Key, error) { return m.Get(t.Context(), id) })
				},
				"Lookup": func(t *rapid.T) {
					d := h.digest(t)
					h.agree(t, func(m apikey.KeyManager) (apikey.Key, error) {
						key, err := m.Lookup(t.Context(), d)
						if err != nil {
							return apikey.Key{}, err
						}
						return *key, nil
					})
				},
				"List": func(t *rapid.T) {
					h.lists(t, apikey.ListOptions{
						Sort:   rapid.SampledFrom([]apikey.Sort{"", apikey.SortName, apikey.SortExpires}).Draw(t, "sort"),
						Status: rapid.SampledFrom([]apikey.Status{"", apikey.StatusActive, apikey.StatusExpired, apikey.StatusRevoked}).Draw(t, "status"),
						Search: rapid.SampledFrom([]string{"", "a", "-1", "%", "É"}).Draw(t, "search"),
						Limit:  rapid.IntRange(1, 5).Draw(t, "limit"),
					})
				},
			})
			for _, sort := range []apikey.Sort{apikey.SortNewest, apikey.SortName, apikey.SortExpires} {
				h.lists(t, apikey.ListOptions{Sort: sort, Limit: 3})
			}
			for n := range 6 {
				h.audits(t, fmt.Sprintf("run%d-%d", h.run, n))
			}
		})
	})
}

// id, digest and key draw from few values, so that they collide.
func (h *history) id(t *rapid.T) string {
	return fmt.Sprintf("run%d-%d", h.run, rapid.IntRange(0, 5).Draw(t, "id"))
}

func (h *history) digest(t *rapid.T) apikey.Digest {
	return sha256.Sum256(fmt.Append(nil, h.run, " ", rapid.IntRange(0, 7).Draw(t, "digest")))
}

func (h *history) key(t *rapid.T) apikey.Key {
	return apikey.Key{
		ID: h.id(t), Name: name(t), Owner: fmt.Sprint("run", h.run), Scopes: scopes(t), Metadata: metadata(t), Hint: "ak_…",
		CreatedAt: time.Date(2026, 1, 1, 0, 0, 0, 123456789, time.UTC), ExpiresAt: moment(t),
	}
}

// The following functions draw values of a key, some of which are invalid.

func name(t *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "A", "b_%", "École", "éa", "日本", "", "x\x00"}).Draw(t, "name")
}

func scopes(t *rapid.T) []string {
	return rapid.SliceOfN(rapid.SampledFrom([]string{"read", "write", "a,b", "two words"}), 0, 2).Draw(t, "scopes")
}

func metadata(t *rapid.T) map[string]string {
	return rapid.MapOfN(rapid.SampledFrom([]string{"room", "ü", ""}), rapid.SampledFrom([]string{"", "\"4\"", "<"}), 0, 2).Draw(t, "metadata")
}

func moment(t *rapid.T) time.Time {
	return rapid.SampledFrom([]time.Time{{}, time.Unix(1, 0), time.Unix(1_000_000_000, 1234), time.Unix(4_000_000_000, 0),
		time.Unix(4_000_000_000, 0).In(time.FixedZone("", 3600)), time.Unix(-5, 0)}).Draw(t, "moment")
}

func patch(t *rapid.T) (p apikey.Patch) {
	if rapid.Bool().Draw(t, "with a name") {
		p.Name = ptr(name(t))
	}
	if rapid.Bool().Draw(t, "with scopes") {
		p.Scopes = ptr(scopes(t))
	}
	if rapid.Bool().Draw(t, "with metadata") {
		p.Metadata = ptr(metadata(t))
	}
	if rapid.Bool().Draw(t, "with an expiry") {
		p.ExpiresAt = ptr(moment(t))
	}
	return p
}

func ptr[T any](value T) *T { return &value }

// agree requires that do has the same result for both stores.
func (h *history) agree(t *rapid.T, do func(apikey.KeyManager) (apikey.Key, error)) {
	want, wantErr := do(h.model)
	got, gotErr := do(h.store)
	for _, err := range []error{apikey.ErrNotFound, apikey.ErrExists, apikey.ErrInvalid, apikey.ErrRevoked, apikey.ErrExpired, apikey.ErrReplaced} {
		require.Equal(t, errors.Is(wantErr, err), errors.Is(gotErr, err), "want %v, got %v", wantErr, gotErr)
	}
	require.Equal(t, wantErr == nil, gotErr == nil, "want %v, got %v", wantErr, gotErr)
	require.Equal(t, unrevoked(want), unrevoked(got))
}

// unrevoked replaces the time of a revocation, which differs between the stores.
func unrevoked(key apikey.Key) apikey.Key {
	if !key.RevokedAt.IsZero() {
		key.RevokedAt = time.Unix(1, 0)
	}
	return key
}

// audits compares the audit trails of a key, except for times of revocation.
func (h *history) audits(t *rapid.T, id string) {
	all := func(m apikey.Auditor) (entries []string) {
		page, err := m.Audit(t.Context(), apikey.AuditOptions{KeyID: id, Limit: 500})
		require.NoError(t, err)
		for _, e := range page.Entries {
			for i, c := range e.Changes {
				if c.Field == "revoked" && c.New != "" {
					e.Changes[i].New = "now"
				}
			}
			entries = append(entries, fmt.Sprint(e.Action, e.KeyID, e.Changes))
		}
		return entries
	}
	require.Equal(t, all(h.model), all(h.store))
}

// lists compares all pages of a list.
func (h *history) lists(t *rapid.T, o apikey.ListOptions) {
	o.Owner = fmt.Sprint("run", h.run)
	all := func(m apikey.KeyManager) (keys []apikey.Key) {
		for o := o; ; {
			page, err := m.List(t.Context(), o)
			require.NoError(t, err)
			for _, key := range page.Keys {
				keys = append(keys, unrevoked(key))
			}
			if o.Cursor = page.Next; o.Cursor == "" {
				return keys
			}
		}
	}
	require.Equal(t, all(h.model), all(h.store))
}
