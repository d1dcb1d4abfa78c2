package storetest

import (
	"slices"
	"sync"
	"testing"

	"github.com/latchkey-dev/apikey"
)

// An announcement is one call of a subscriber.
type announcement struct {
	digest apikey.Digest
	at     apikey.Version
}

// A subscriber records the announcements of a feed.
type subscriber struct {
	mu            sync.Mutex
	announcements []announcement
	cancel        func()
}

// subscribe subscribes to a feed.
func (s *store) subscribe(feed apikey.ChangeFeed) *subscriber {
	s.t.Helper()
	sub := new(subscriber)
	sub.cancel = feed.Subscribe(func(d apikey.Digest, at apikey.Version) {
		sub.mu.Lock()
		defer sub.mu.Unlock()
		sub.announcements = append(sub.announcements, announcement{d, at})
	})
	if sub.cancel == nil {
		s.t.Fatal("Subscribe(f) = nil; want a function that ends the subscription")
	}
	return sub
}

// all returns the announcements since the last reset.
func (sub *subscriber) all() []announcement {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return slices.Clone(sub.announcements)
}

// saw reports whether a digest was announced since the last reset.
func (sub *subscriber) saw(d apikey.Digest) bool {
	return slices.ContainsFunc(sub.all(), func(a announcement) bool { return a.digest == d })
}

func (sub *subscriber) reset() {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.announcements = nil
}

var subscribeRules = []rule{
	{"Create announces the key before it returns", func(t *testing.T, s *store) {
		sub := s.subscribe(s.feed())
		if d, _ := s.add(); !sub.saw(d) {
			t.Error("Create returned before it announced the key")
		}
	}},
	{"Update announces the key before it returns", func(t *testing.T, s *store) {
		sub := s.subscribe(s.feed())
		d, key := s.add()
		s.add() // a late announcement of this key does not count
		sub.reset()
		if s.update(key.ID, apikey.Patch{Name: new("renamed")}); !sub.saw(d) {
			t.Error("Update returned before it announced the key")
		}
	}},
	{"Replace announces both keys before it returns", func(t *testing.T, s *store) {
		sub := s.subscribe(s.feed())
		old, key := s.add()
		s.add()
		sub.reset()
		fresh, _ := s.replace(key.ID, graceEnd)
		if !sub.saw(old) {
			t.Error("Replace returned before it announced the old key")
		}
		if !sub.saw(fresh) {
			t.Error("Replace returned before it announced the successor")
		}
	}},
	{"Revoke announces the key before it returns", func(t *testing.T, s *store) {
		sub := s.subscribe(s.feed())
		d, key := s.add()
		s.add()
		sub.reset()
		if s.revoke(key.ID); !sub.saw(d) {
			t.Error("Revoke returned before it announced the key")
		}
	}},
	{"the announced Version is not older than the write", func(t *testing.T, s *store) {
		feed := s.feed()
		sub := s.subscribe(feed)
		d, key := s.add()
		for _, write := range []func(){
			func() { s.update(key.ID, apikey.Patch{ExpiresAt: new(future)}) },
			func() { s.replace(key.ID, graceEnd) },
			func() { s.revoke(key.ID) },
		} {
			before := s.head(feed)
			sub.reset()
			write()
			after := s.head(feed)
			for _, a := range sub.all() {
				if a.at.Epoch != before.Epoch || a.at.Revision <= before.Revision || a.at.Revision > after.Revision {
					t.Errorf("announced Version = %+v; want one after %+v and up to %+v", a.at, before, after)
				}
				// A cache that knows a Version does not ask for the changes up to it.
				if a.digest == d && slices.Contains(s.changes(feed, a.at).Digests, d) {
					t.Errorf("Changes(%+v), the announced Version, lists the write; want it to be part of that Version", a.at)
				}
			}
		}
	}},
	{"cancel ends one subscription and no other", func(t *testing.T, s *store) {
		feed := s.feed()
		one, two := s.subscribe(feed), s.subscribe(feed)
		_, key := s.add()
		one.cancel()
		one.reset()
		two.reset()
		d, _ := s.add()
		s.revoke(key.ID)
		if len(one.all()) > 0 {
			t.Error("the subscriber was called after its cancel")
		}
		if !two.saw(d) {
			t.Error("the other subscriber was not called after the cancel")
		}
		three := s.subscribe(feed)
		if d, _ := s.add(); !three.saw(d) || !two.saw(d) {
			t.Error("Create was not announced to both subscribers")
		}
	}},
	{"concurrent writes are announced before they return", func(t *testing.T, s *store) {
		sub := s.subscribe(s.feed())
		var wg sync.WaitGroup
		for range 8 {
			d, key := s.next()
			wg.Go(func() {
				if err := s.Create(t.Context(), d, key); err != nil {
					t.Errorf("concurrent Create = %v; want nil", err)
				} else if !sub.saw(d) {
					t.Error("concurrent Create returned before it announced the key")
				}
			})
		}
		wg.Wait()
	}},
}
