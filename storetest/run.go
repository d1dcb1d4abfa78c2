// Package storetest is the conformance suite of stores: what every [apikey.KeyManager]
// and [apikey.KeyStore] must do, as tests. The stores of this module pass it, and a store
// of one's own is ready for use when it does:
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) apikey.KeyManager {
//			store := mystore.New(t.TempDir())
//			t.Cleanup(func() { store.Close() })
//			return store
//		})
//	}
//
// A store that only looks keys up is tested by [RunLookup].
//
// Every subtest is one rule and is named by it, as in "Revoke/twice keeps the first
// time". Abilities that a store may have or not ([apikey.Toucher], [apikey.StampedStore],
// [apikey.ChangeFeed], [apikey.Auditor]) are found by [apikey.StoreAs] and tested where
// they are; the rules of the others are skipped. So look at what was skipped: a wrapper
// without Unwrap hides what it wraps.
//
// The rules need few rows, do not sleep, and ask only that the clock of the store agrees
// with that of the test to the minute.
package storetest

import (
	"maps"
	"testing"

	"github.com/latchkey-dev/apikey"
)

// A rule is something that every store does. Its name is the sentence that is untrue of a
// store that fails it.
type rule struct {
	name string
	test func(t *testing.T, s *subject)
}

// groups are the rules of a KeyManager, by what they are about.
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
	{"Revoke", revokeRules},
	{"Validation", validationRules()},
	{"Touch", touchRules},
	{"LookupAt", lookupAtRules},
	{"Changes", changesRules},
	{"Subscribe", subscribeRules},
	{"Audit", auditRules},
	{"Concurrency", concurrencyRules},
	{"Context", contextRules},
}

// Run tests a KeyManager. It calls open for each subtest, to get an empty store that
// shares nothing with the others; open uses t.Cleanup to close it. Subtests run in
// parallel, and so does open: if only one store can be open at a time, use
// go test -parallel=1.
//
// A Toucher that does not write a last use at once has a method
// Flush(context.Context) error, which writes what was collected. Run calls it before it
// reads LastUsedAt, which may be truncated to the second.
func Run(t *testing.T, open func(*testing.T) apikey.KeyManager) {
	for _, group := range groups {
		// A level of its own, because t.Run returns when the parallel tests in it are
		// done: whoever calls Run may close what the stores share thereafter.
		t.Run(group.name, func(t *testing.T) {
			for _, r := range group.rules {
				t.Run(r.name, func(t *testing.T) {
					t.Parallel()
					store := open(t)
					if store == nil {
						t.Fatal("open returned no store")
					}
					r.test(t, &subject{KeyManager: store, t: t})
				})
			}
		})
	}
}

// RunLookup tests a KeyStore that only looks keys up. It calls open for each subtest, to
// get a store that holds these keys and no others. Times are whole seconds and LastUsedAt
// is not set; every other field has to come back. Subtests run in parallel, and so does
// open; see [Run].
func RunLookup(t *testing.T, open func(*testing.T, map[apikey.Digest]apikey.Key) apikey.KeyStore) {
	t.Run("Lookup", func(t *testing.T) {
		for _, r := range keyStoreRules {
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				keys := catalogue(t)
				// The store may keep the map that it is given.
				store := open(t, maps.Clone(keys))
				if store == nil {
					t.Fatal("open returned no store")
				}
				r.test(t, store, keys)
			})
		}
	})
}
