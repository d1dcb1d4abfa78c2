package manage_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

// TestOwnersSeeNothingOfEachOther makes random changes of an administrator, who also moves keys, and random
// calls of an owner on any key. No result and no error contains an ID or a name of a key of another owner, and
// no call changes such a key.
func TestOwnersSeeNothingOfEachOther(t *testing.T) {
	t.Parallel()
	succeeded := map[string]int{}
	for seed := range uint64(200) {
		store := memstore.New()
		desk := newDesk(t, store)
		admin, owner := as(t, desk, administrator), as(t, desk, customer)
		random := rand.New(rand.NewPCG(seed, 0))
		for i := range 4 {
			_, _, err := admin.Issue(t.Context(), apikey.NewKey{Name: fmt.Sprint("key-", i), Owner: []string{"alice", "bob"}[i%2]}, "")
			require.NoError(t, err)
		}
		for step := range 40 {
			keys := keysOf(t, store)
			id := keys[random.IntN(len(keys))].ID
			if random.IntN(4) == 0 {
				administrate(t, admin, random, id, fmt.Sprintf("key-%d-%d", seed, step))
				continue
			}
			operation, result, err := try(t, owner, random, id, keys)
			if err == nil {
				succeeded[operation]++
			}
			shown := fmt.Sprintf("%+v %v", result, err)
			after := map[string]apikey.Key{}
			for _, key := range keysOf(t, store) {
				after[key.ID] = key
			}
			for _, key := range keys {
				if key.Owner == "alice" {
					require.Equal(t, "alice", after[key.ID].Owner, operation)
					continue
				}
				require.NotContains(t, shown, key.ID, "seed %d: %s", seed, operation)
				require.NotContains(t, shown, key.Name+" ", "seed %d: %s", seed, operation)
				require.Equal(t, key, after[key.ID], "seed %d: %s", seed, operation)
			}
		}
	}
	for _, operation := range []string{"issue", "rotate", "update", "revoke", "get", "list", "search", "history", "successors", "notices"} {
		require.NotZero(t, succeeded[operation], "%s never succeeded, so the test shows nothing about it", operation)
	}
}

func keysOf(t testing.TB, store *memstore.Store) []apikey.Key {
	page, err := store.List(t.Context(), apikey.ListOptions{Limit: 500})
	require.NoError(t, err)
	return page.Keys
}

// administrate makes a random change of a key, which may fail because of the state of the key.
func administrate(t testing.TB, s *manage.Session, random *rand.Rand, id, name string) {
	p := apikey.Patch{Name: &name}
	switch random.IntN(4) {
	case 0, 1:
		p.Owner = new([]string{"alice", "bob", ""}[random.IntN(3)])
	case 2:
		p.Suspended = new(random.IntN(2) == 0)
	case 3:
		s.Rotate(t.Context(), id, []time.Duration{0, time.Hour}[random.IntN(2)], "")
		return
	}
	_, err := s.Update(t.Context(), id, "", p)
	require.NoError(t, err)
}

// try makes one random call on a key. The result omits Replaces, Origin and the history of rotations,
// because the package documentation permits these to contain the ID of a key of another owner.
func try(t testing.TB, s *manage.Session, random *rand.Rand, id string, all []apikey.Key) (operation string, result any, err error) {
	request := []string{"", "1", "2"}[random.IntN(3)]
	var key apikey.Key
	var keys []apikey.Key
	operation = []string{"issue", "rotate", "update", "revoke", "get", "list", "search", "history", "successors", "notices"}[random.IntN(10)]
	switch operation {
	case "issue":
		_, key, err = s.Issue(t.Context(), apikey.NewKey{Name: "new"}, request)
	case "rotate":
		_, key, err = s.Rotate(t.Context(), id, []time.Duration{0, time.Hour}[random.IntN(2)], request)
	case "update":
		key, err = s.Update(t.Context(), id, "", apikey.Patch{Metadata: &map[string]string{"room": request}})
	case "revoke":
		key, err = s.Revoke(t.Context(), id)
	case "get":
		key, err = s.Get(t.Context(), id)
	case "list", "search":
		o := apikey.ListOptions{}
		if operation == "search" {
			o.Search = []string{"bob", "key-", id}[random.IntN(3)]
		}
		page, listErr := s.List(t.Context(), o)
		keys, err = page.Keys, listErr
	case "history":
		page, historyErr := s.History(t.Context(), apikey.AuditOptions{KeyID: id, Limit: 1 + random.IntN(5)})
		for _, e := range page.Entries {
			for _, c := range e.Changes {
				if c.Field != "replaces" && c.Field != "replaced_by" {
					result = fmt.Sprintf("%v %+v ", result, c)
				}
			}
		}
		return operation, result, historyErr
	case "successors":
		found, err := s.Successors(t.Context(), all)
		return operation, found, err
	case "notices":
		for n, noticeErr := range s.Notices(t.Context(), manage.NoticeRules{Unused: 1}) {
			n.Key.Replaces, n.Key.Origin = "", ""
			result, err = fmt.Sprintf("%v %+v ", result, n), noticeErr
		}
		return operation, result, err
	}
	keys = append(keys, key)
	for i := range keys {
		keys[i].Replaces, keys[i].Origin = "", ""
	}
	return operation, keys, err
}
