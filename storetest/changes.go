package storetest

import (
	"slices"
	"sync"
	"testing"

	"github.com/latchkey-dev/apikey"
)

// head returns the present state of a feed.
func (s *subject) head(feed apikey.ChangeFeed) apikey.Cursor {
	s.t.Helper()
	return s.since(feed, apikey.Cursor{}).Head
}

// since returns what a feed tells of the time since a Cursor.
func (s *subject) since(feed apikey.ChangeFeed, at apikey.Cursor) apikey.Changes {
	s.t.Helper()
	c, err := feed.Changes(s.t.Context(), at)
	if err != nil {
		s.t.Fatalf("Changes since %+v: %v", at, err)
	}
	return c
}

// names checks that a feed tells of these digests since a Cursor, and returns its head.
func (s *subject) names(feed apikey.ChangeFeed, at apikey.Cursor, want ...apikey.Digest) apikey.Cursor {
	s.t.Helper()
	c := s.since(feed, at)
	if c.Reset {
		s.t.Errorf("Changes since %+v: a Reset after a few writes", at)
	}
	for i, d := range want {
		if !slices.Contains(c.Digests, d) {
			s.t.Errorf("Changes since %+v has %d digests, and not that of the changed key %d of %d", at, len(c.Digests), i+1, len(want))
		}
	}
	if c.Head.Epoch != at.Epoch || len(want) > 0 && c.Head.Revision <= at.Revision {
		s.t.Errorf("Changes since %+v has the head %+v", at, c.Head)
	}
	return c.Head
}

var changesRules = []rule{
	{"the zero Cursor gets the head alone", func(t *testing.T, s *subject) {
		feed := s.feed()
		for range 2 {
			c := s.since(feed, apikey.Cursor{})
			if len(c.Digests) > 0 || c.Reset || c.Head == (apikey.Cursor{}) {
				t.Errorf("Changes since the zero Cursor = %d digests, Reset %v, head %+v; want a head alone, and not zero", len(c.Digests), c.Reset, c.Head)
			}
			_, key := s.add()
			s.revoke(key.ID)
		}
	}},
	{"nothing new is the same head and no digests", func(t *testing.T, s *subject) {
		feed := s.feed()
		_, key := s.add()
		s.revoke(key.ID)
		for _, head := range []apikey.Cursor{s.head(feed), s.names(feed, s.head(feed))} {
			if c := s.since(feed, head); c.Head != head || len(c.Digests) > 0 || c.Reset {
				t.Errorf("Changes since its head %+v = %d digests, Reset %v, head %+v", head, len(c.Digests), c.Reset, c.Head)
			}
		}
	}},
	{"an update names its digest", func(t *testing.T, s *subject) {
		feed := s.feed()
		d, key := s.add()
		s.add()
		head := s.head(feed)
		s.update(key.ID, apikey.Patch{Name: new("renamed")})
		s.names(feed, head, d)
	}},
	{"a revocation names its digest", func(t *testing.T, s *subject) {
		feed := s.feed()
		d, key := s.add()
		s.add()
		head := s.head(feed)
		s.revoke(key.ID)
		s.names(feed, head, d)
	}},
	{"a replacement names the digest of the old key", func(t *testing.T, s *subject) {
		feed := s.feed()
		d, key := s.add()
		s.add()
		head := s.head(feed)
		s.replace(key.ID, soon)
		s.names(feed, head, d)
	}},
	{"a creation moves the head", func(t *testing.T, s *subject) {
		feed := s.feed()
		head := s.head(feed)
		for range 3 {
			s.add()
			c := s.since(feed, head)
			if c.Reset || c.Head.Epoch != head.Epoch || c.Head.Revision <= head.Revision {
				t.Errorf("Changes after Create = Reset %v, head %+v; the head before was %+v", c.Reset, c.Head, head)
			}
			head = c.Head
		}
	}},
	{"an old Cursor gets every change since", func(t *testing.T, s *subject) {
		feed := s.feed()
		heads := []apikey.Cursor{s.head(feed)}
		var changed []apikey.Digest
		var first string
		for range 4 {
			d, key := s.add()
			s.revoke(key.ID)
			changed = append(changed, d)
			if first == "" {
				first = key.ID
			}
			heads = append(heads, s.head(feed))
		}
		for i, head := range heads {
			s.names(feed, head, changed[i:]...)
		}
		// A change of what had changed before is told once more.
		s.update(first, apikey.Patch{ExpiresAt: &future})
		s.names(feed, heads[1], changed...)
		s.names(feed, heads[4], changed[0])
	}},
	{"a Cursor of another epoch is a Reset", func(t *testing.T, s *subject) {
		feed := s.feed()
		s.add()
		for range 2 {
			head := s.head(feed)
			for _, epoch := range []uint64{head.Epoch + 1, head.Epoch ^ 1<<40} {
				other := head
				other.Epoch = epoch
				s.resets(feed, other)
			}
			_, key := s.add()
			s.revoke(key.ID)
		}
	}},
	{"a revision of the future is a Reset", func(t *testing.T, s *subject) {
		feed := s.feed()
		s.add()
		head := s.head(feed)
		for _, ahead := range []uint64{1, 1000, 1 << 40} {
			other := head
			other.Revision += ahead
			s.resets(feed, other)
		}
	}},
	{"polling while writers run misses nothing", func(t *testing.T, s *subject) {
		feed := s.feed()
		changed := make(map[apikey.Digest]string)
		for range 12 {
			d, key := s.add()
			changed[d] = key.ID
		}
		told := make(map[apikey.Digest]bool)
		at := s.head(feed)
		poll := func() bool {
			c, err := feed.Changes(t.Context(), at)
			if err != nil || c.Reset {
				t.Errorf("Changes among writers = Reset %v, %v", c.Reset, err)
				return false
			}
			for _, d := range c.Digests {
				told[d] = true
			}
			at = c.Head
			return true
		}
		var wg sync.WaitGroup
		for _, id := range changed {
			wg.Go(func() {
				if _, err := s.Revoke(t.Context(), id); err != nil {
					t.Errorf("Revoke: %v", err)
				}
			})
		}
		for range 20 {
			if !poll() {
				break
			}
		}
		wg.Wait()
		poll()
		for d := range changed {
			if !told[d] {
				t.Error("a key was revoked, and no poll told of it")
			}
		}
	}},
}

// resets checks that a feed cannot tell what changed since a Cursor.
func (s *subject) resets(feed apikey.ChangeFeed, at apikey.Cursor) {
	s.t.Helper()
	c := s.since(feed, at)
	if !c.Reset {
		s.t.Errorf("Changes since %+v, which this feed never was at: no Reset", at)
	}
	if head := s.head(feed); c.Head != head {
		s.t.Errorf("Changes since %+v has the head %+v, want %+v", at, c.Head, head)
	}
}
