// Package storetest tests that a store implements [apikey.KeyManager] or [apikey.KeyStore] correctly.
// The stores of this module pass it. Run it on a store of your own:
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) apikey.KeyManager {
//			store := mystore.New(t.TempDir())
//			t.Cleanup(func() { store.Close() })
//			return store
//		})
//	}
//
// [RunLookup] tests a store that only looks keys up.
//
// Each subtest checks one rule, and its name states the rule, as in "Revoke/a second Revoke keeps the
// first RevokedAt". The suite finds the optional interfaces [apikey.Toucher], [apikey.StampedStore],
// [apikey.ChangeFeed], [apikey.SuccessorFinder], [apikey.Auditor], [apikey.Counter], [apikey.Noticer]
// and [apikey.Conditional] with [apikey.StoreAs]. It skips the rules of an interface that the store does
// not implement. Check which rules were skipped, because a wrapper without Unwrap hides the interfaces
// of the store behind it.
//
// One rule writes about 6,000 keys and is skipped with -short. The others write at most 120 keys. No
// rule sleeps. The clock of the store may differ from the clock of the test by up to a minute.
package storetest

import (
	"maps"
	"testing"

	"github.com/latchkey-dev/apikey"
)

// A rule is a test that every KeyManager passes. Its name states the correct behavior.
type rule struct {
	name string
	test func(t *testing.T, s *store)
}

// groups are the rules of a KeyManager, by method or topic.
var groups = []struct {
	name  string
	rules []rule
}{
	{"Lookup", lookupRules()},
	{"Create", createRules},
	{"Get", getRules},
	{"List", listRules()},
	{"Update", updateRules},
	{"Replace", replaceRules},
	{"Successors", successorRules},
	{"Revoke", revokeRules},
	{"RevokeAll", revokeAllRules},
	{"Suspend", suspendRules},
	{"Networks", networkRules},
	{"Limits", limitRules},
	{"Select", selectRules},
	{"Validation", validationRules()},
	{"Touch", touchRules},
	{"LookupAt", lookupAtRules},
	{"Changes", changesRules},
	{"Subscribe", subscribeRules},
	{"Audit", auditRules},
	{"Notices", noticeRules},
	{"Check", checkRules},
	{"MaxKeys", maxKeysRules},
	{"Concurrency", concurrencyRules},
	{"Context", contextRules},
}

// Run tests a KeyManager. It calls open in each subtest. open returns an empty store that shares no
// keys with other stores, and uses t.Cleanup to close it. Subtests run in parallel, and so does open.
// If only one store can be open at a time, use go test -parallel=1.
//
// A Toucher that does not write the last use at once has a method Flush(context.Context) error, which
// writes it. Run calls Flush before it reads LastUsedAt. A store may truncate LastUsedAt to the
// second.
func Run(t *testing.T, open func(*testing.T) apikey.KeyManager) {
	for _, group := range groups {
		// t.Run waits for the parallel subtests of the group. After Run has returned, the caller can
		// therefore close a resource that the stores share.
		t.Run(group.name, func(t *testing.T) {
			for _, r := range group.rules {
				t.Run(r.name, func(t *testing.T) {
					t.Parallel()
					manager := open(t)
					if manager == nil {
						t.Fatal("open(t) = nil; want a store")
					}
					r.test(t, &store{KeyManager: manager, t: t})
				})
			}
		})
	}
}

// RunLookup tests a KeyStore that only looks keys up. It calls open in each subtest. open returns a
// store that holds exactly the given keys. Their times are whole seconds and LastUsedAt is not set;
// Lookup must return every other field. Subtests run in parallel, and so does open; see [Run].
func RunLookup(t *testing.T, open func(*testing.T, map[apikey.Digest]apikey.Key) apikey.KeyStore) {
	t.Run("Lookup", func(t *testing.T) {
		for _, r := range keyStoreRules {
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				keys := lookupKeys(t)
				opened := open(t, maps.Clone(keys)) // the store may keep the map
				if opened == nil {
					t.Fatal("open(t, keys) = nil; want a store")
				}
				r.test(t, opened, keys)
			})
		}
	})
}
