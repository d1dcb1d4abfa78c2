package storetest

import (
	"slices"
	"sync"
	"testing"

	"github.com/latchkey-dev/apikey"
)

// head returns the current Version of a feed.
func (s *store) head(feed apikey.ChangeFeed) apikey.Version {
	s.t.Helper()
	return s.changes(feed, apikey.Version{}).Head
}

// changes returns the changes since a Version.
func (s *store) changes(feed apikey.ChangeFeed, at apikey.Version) apikey.Changes {
	s.t.Helper()
	c, err := feed.Changes(s.t.Context(), at)
	if err != nil {
		s.t.Fatalf("Changes(%+v) = %v; want nil", at, err)
	}
	return c
}

// wantChanges checks that a feed lists these digests since a Version. It returns the Head.
func (s *store) wantChanges(feed apikey.ChangeFeed, at apikey.Version, want ...apikey.Digest) apikey.Version {
	s.t.Helper()
	c := s.changes(feed, at)
	if c.Reset {
		s.t.Errorf("Changes(%+v) = Reset after a few writes; want the digests", at)
	}
	for i, d := range want {
		if !slices.Contains(c.Digests, d) {
			s.t.Errorf("Changes(%+v) = %d digests; want them to include changed key %d of %d", at, len(c.Digests), i+1, len(want))
		}
	}
	if c.Head.Epoch != at.Epoch || len(want) > 0 && c.Head.Revision <= at.Revision {
		s.t.Errorf("Changes(%+v) = Head %+v; want a later Version of the same epoch", at, c.Head)
	}
	return c.Head
}

var changesRules = []rule{
	{"the zero Version returns the head alone", func(t *testing.T, s *store) {
		feed := s.feed()
		for range 2 {
			c := s.changes(feed, apikey.Version{})
			if len(c.Digests) > 0 || c.Reset || c.Head == (apikey.Version{}) {
				t.Errorf("Changes(zero Version) = %d digests, Reset %v, Head %+v; want only a Head other than zero", len(c.Digests), c.Reset, c.Head)
			}
			_, key := s.add()
			s.revoke(key.ID)
		}
	}},
	{"returns the same head and no digests if nothing changed", func(t *testing.T, s *store) {
		feed := s.feed()
		_, key := s.add()
		s.revoke(key.ID)
		for _, head := range []apikey.Version{s.head(feed), s.wantChanges(feed, s.head(feed))} {
			if c := s.changes(feed, head); c.Head != head || len(c.Digests) > 0 || c.Reset {
				t.Errorf("Changes(Head %+v) = %d digests, Reset %v, Head %+v; want only the same Head", head, len(c.Digests), c.Reset, c.Head)
			}
		}
	}},
	{"lists the digest of an updated key", func(t *testing.T, s *store) {
		feed := s.feed()
		d, key := s.add()
		s.add()
		head := s.head(feed)
		s.update(key.ID, apikey.Patch{Name: new("renamed")})
		s.wantChanges(feed, head, d)
	}},
	{"lists the digest of a revoked key", func(t *testing.T, s *store) {
		feed := s.feed()
		d, key := s.add()
		s.add()
		head := s.head(feed)
		s.revoke(key.ID)
		s.wantChanges(feed, head, d)
	}},
	{"lists the digest of a replaced key", func(t *testing.T, s *store) {
		feed := s.feed()
		d, key := s.add()
		s.add()
		head := s.head(feed)
		s.replace(key.ID, graceEnd)
		s.wantChanges(feed, head, d)
	}},
	{"a creation advances the head", func(t *testing.T, s *store) {
		feed := s.feed()
		head := s.head(feed)
		for range 3 {
			s.add()
			c := s.changes(feed, head)
			if c.Reset || c.Head.Epoch != head.Epoch || c.Head.Revision <= head.Revision {
				t.Errorf("Changes(%+v) after Create = Reset %v, Head %+v; want a larger Revision", head, c.Reset, c.Head)
			}
			head = c.Head
		}
	}},
	{"an old Version returns every change since", func(t *testing.T, s *store) {
		feed := s.feed()
		heads := []apikey.Version{s.head(feed)}
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
			s.wantChanges(feed, head, changed[i:]...)
		}
		// A second change of a key is listed again.
		s.update(first, apikey.Patch{ExpiresAt: &future})
		s.wantChanges(feed, heads[1], changed...)
		s.wantChanges(feed, heads[4], changed[0])
	}},
	{"a Version of another epoch returns a Reset", func(t *testing.T, s *store) {
		feed := s.feed()
		s.add()
		for range 2 {
			head := s.head(feed)
			for _, epoch := range []uint64{head.Epoch + 1, head.Epoch ^ 1<<40} {
				other := head
				other.Epoch = epoch
				s.wantReset(feed, other)
			}
			_, key := s.add()
			s.revoke(key.ID)
		}
	}},
	{"a future revision returns a Reset", func(t *testing.T, s *store) {
		feed := s.feed()
		s.add()
		head := s.head(feed)
		for _, ahead := range []uint64{1, 1000, 1 << 40} {
			other := head
			other.Revision += ahead
			s.wantReset(feed, other)
		}
	}},
	{"polls during writes miss no change", func(t *testing.T, s *store) {
		feed := s.feed()
		changed := make(map[apikey.Digest]string)
		for range 12 {
			d, key := s.add()
			changed[d] = key.ID
		}
		listed := make(map[apikey.Digest]bool)
		at := s.head(feed)
		poll := func() bool {
			c, err := feed.Changes(t.Context(), at)
			if err != nil || c.Reset {
				t.Errorf("Changes(%+v) during writes = Reset %v, %v; want digests", at, c.Reset, err)
				return false
			}
			for _, d := range c.Digests {
				listed[d] = true
			}
			at = c.Head
			return true
		}
		var wg sync.WaitGroup
		for _, id := range changed {
			wg.Go(func() {
				if _, err := s.Revoke(t.Context(), id); err != nil {
					t.Errorf("Revoke = %v; want nil", err)
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
			if !listed[d] {
				t.Error("no poll listed the digest of a key that was revoked during the polls")
			}
		}
	}},
}

// wantReset checks that a feed returns a Reset for a Version that it never had.
func (s *store) wantReset(feed apikey.ChangeFeed, at apikey.Version) {
	s.t.Helper()
	c := s.changes(feed, at)
	if !c.Reset {
		s.t.Errorf("Changes(%+v) = Reset false; want true, because the feed never had this Version", at)
	}
	if head := s.head(feed); c.Head != head {
		s.t.Errorf("Changes(%+v) = Head %+v; want %+v", at, c.Head, head)
	}
}
