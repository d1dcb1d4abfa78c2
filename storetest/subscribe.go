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
	at     apikey.Cursor
}

// heard is what a subscriber was told.
type heard struct {
	mu            sync.Mutex
	announcements []announcement
	cancel        func()
}

// listen subscribes to a feed until the test ends.
func (s *subject) listen(feed apikey.ChangeFeed) *heard {
	s.t.Helper()
	h := new(heard)
	h.cancel = feed.Subscribe(func(d apikey.Digest, at apikey.Cursor) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.announcements = append(h.announcements, announcement{d, at})
	})
	if h.cancel == nil {
		s.t.Fatal("Subscribe returned no function to end it")
	}
	return h
}

// all returns what was told until now.
func (h *heard) all() []announcement {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.announcements)
}

func (h *heard) has(d apikey.Digest) bool {
	return slices.ContainsFunc(h.all(), func(a announcement) bool { return a.digest == d })
}

func (h *heard) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.announcements = nil
}

var subscribeRules = []rule{
	{"a creation is announced before Create returns", func(t *testing.T, s *subject) {
		h := s.listen(s.feed())
		if d, _ := s.add(); !h.has(d) {
			t.Error("Create returned, and its digest was not announced")
		}
	}},
	{"an update is announced before Update returns", func(t *testing.T, s *subject) {
		h := s.listen(s.feed())
		d, key := s.add()
		s.add() // so that an announcement which comes late is of another key
		h.forget()
		if s.update(key.ID, apikey.Patch{Name: new("renamed")}); !h.has(d) {
			t.Error("Update returned, and its digest was not announced")
		}
	}},
	{"both keys of a replacement are announced before Replace returns", func(t *testing.T, s *subject) {
		h := s.listen(s.feed())
		old, key := s.add()
		s.add()
		h.forget()
		fresh, _ := s.replace(key.ID, soon)
		if !h.has(old) {
			t.Error("Replace returned, and the digest of the old key was not announced")
		}
		if !h.has(fresh) {
			t.Error("Replace returned, and the digest of the successor was not announced")
		}
	}},
	{"a revocation is announced before Revoke returns", func(t *testing.T, s *subject) {
		h := s.listen(s.feed())
		d, key := s.add()
		s.add()
		h.forget()
		if s.revoke(key.ID); !h.has(d) {
			t.Error("Revoke returned, and its digest was not announced")
		}
	}},
	{"the Cursor that is announced is not older than the write", func(t *testing.T, s *subject) {
		feed := s.feed()
		h := s.listen(feed)
		d, key := s.add()
		for _, write := range []func(){
			func() { s.update(key.ID, apikey.Patch{ExpiresAt: new(future)}) },
			func() { s.replace(key.ID, soon) },
			func() { s.revoke(key.ID) },
		} {
			before := s.head(feed)
			h.forget()
			write()
			after := s.head(feed)
			for _, a := range h.all() {
				if a.at.Epoch != before.Epoch || a.at.Revision <= before.Revision || a.at.Revision > after.Revision {
					t.Errorf("%+v was announced by a write that began at %+v and ended at %+v", a.at, before, after)
				}
				// A cache that has heard of this state does not ask for what led to it.
				if a.digest == d && slices.Contains(s.since(feed, a.at).Digests, d) {
					t.Errorf("the write is not in the state %+v that it announced", a.at)
				}
			}
		}
	}},
	{"nothing is announced after cancel, and others are still told", func(t *testing.T, s *subject) {
		feed := s.feed()
		one, two := s.listen(feed), s.listen(feed)
		_, key := s.add()
		one.cancel()
		one.forget()
		two.forget()
		d, _ := s.add()
		s.revoke(key.ID)
		if len(one.all()) > 0 {
			t.Error("a subscriber was called after it had cancelled")
		}
		if !two.has(d) {
			t.Error("a subscriber was not called after another had cancelled")
		}
		three := s.listen(feed)
		if d, _ := s.add(); !three.has(d) || !two.has(d) {
			t.Error("a creation was not announced to each of two subscribers")
		}
	}},
	{"every writer has been announced when it returns, also among others", func(t *testing.T, s *subject) {
		h := s.listen(s.feed())
		var wg sync.WaitGroup
		for range 8 {
			d, key := s.next()
			wg.Go(func() {
				if err := s.Create(t.Context(), d, key); err != nil {
					t.Errorf("Create among others: %v", err)
				} else if !h.has(d) {
					t.Error("Create returned among others, and its digest was not announced")
				}
			})
		}
		wg.Wait()
	}},
}
