package storetest

import (
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// lease is the length of a claim in these rules.
const lease = time.Minute

func (s *store) noticer() apikey.Noticer { return optional[apikey.Noticer](s, "a Noticer") }

// claimAt returns a claim of the notice n about a key.
func claimAt(n int, keyID string, at time.Time) apikey.NoticeClaim {
	return apikey.NoticeClaim{ID: fmt.Sprintf("notice-%d", n), KeyID: keyID, At: at, Until: at.Add(lease)}
}

// wantClaimed checks the result of ClaimNotice. why describes the claim.
func (s *store) wantClaimed(c apikey.NoticeClaim, want bool, why string) {
	s.t.Helper()
	if got, err := s.noticer().ClaimNotice(s.t.Context(), c); err != nil || got != want {
		s.t.Errorf("ClaimNotice(%s) %s = %v, %v; want %v, nil", c.ID, why, got, err, want)
	}
}

func (s *store) finishNotice(c apikey.NoticeClaim) {
	s.t.Helper()
	if err := s.noticer().FinishNotice(s.t.Context(), c); err != nil {
		s.t.Fatalf("FinishNotice(%s) = %v; want nil", c.ID, err)
	}
}

func (s *store) releaseNotice(c apikey.NoticeClaim) {
	s.t.Helper()
	if err := s.noticer().ReleaseNotice(s.t.Context(), c); err != nil {
		s.t.Fatalf("ReleaseNotice(%s) = %v; want nil", c.ID, err)
	}
}

// wantSent checks which of these notices were finished.
func (s *store) wantSent(ids []string, want ...string) {
	s.t.Helper()
	wanted := map[string]bool{}
	for _, id := range want {
		wanted[id] = true
	}
	got, err := s.noticer().SentNotices(s.t.Context(), ids)
	maps.DeleteFunc(got, func(_ string, sent bool) bool { return !sent })
	if err != nil || !maps.Equal(got, wanted) {
		s.t.Errorf("SentNotices(%q) = %v, %v; want %q", ids, got, err, want)
	}
}

// noticeRules use times in the past, because a claim depends on its own At and not on the clock.
var noticeRules = []rule{
	{"only the first claim of a notice is in force", func(t *testing.T, s *store) {
		s.noticer()
		_, key := s.add()
		s.wantClaimed(claimAt(1, key.ID, past), true, "for the first time")
		s.wantClaimed(claimAt(1, key.ID, past), false, "at the same time")
		s.wantClaimed(claimAt(1, key.ID, past.Add(lease-time.Microsecond)), false, "before the first claim ends")
		s.wantClaimed(claimAt(2, key.ID, past), true, "of another notice")
	}},
	{"a claim ends at its Until", func(t *testing.T, s *store) {
		s.noticer()
		_, key := s.add()
		s.wantClaimed(claimAt(1, key.ID, past), true, "for the first time")
		s.wantClaimed(claimAt(1, key.ID, past.Add(lease)), true, "at the end of the first claim")
		s.wantClaimed(claimAt(1, key.ID, past.Add(lease+time.Second)), false, "before the second claim ends")
	}},
	{"a released notice can be claimed at once", func(t *testing.T, s *store) {
		s.noticer()
		_, key := s.add()
		c := claimAt(1, key.ID, past)
		s.wantClaimed(c, true, "for the first time")
		s.releaseNotice(c)
		s.wantSent([]string{c.ID})
		s.wantClaimed(c, true, "after its release")
	}},
	{"releasing a claim that has ended keeps a later claim", func(t *testing.T, s *store) {
		s.noticer()
		_, key := s.add()
		first, second := claimAt(1, key.ID, past), claimAt(1, key.ID, past.Add(lease))
		s.wantClaimed(first, true, "for the first time")
		s.wantClaimed(second, true, "at the end of the first claim")
		s.releaseNotice(first)
		s.wantClaimed(claimAt(1, key.ID, past.Add(lease+time.Second)), false, "before the second claim ends")
	}},
	{"a finished notice cannot be claimed again", func(t *testing.T, s *store) {
		s.noticer()
		_, key := s.add()
		c := claimAt(1, key.ID, past)
		s.wantClaimed(c, true, "for the first time")
		s.finishNotice(c)
		s.wantClaimed(claimAt(1, key.ID, past.Add(24*time.Hour)), false, "after its finish")
		s.releaseNotice(c)
		s.finishNotice(c)
		s.wantClaimed(claimAt(1, key.ID, past.Add(48*time.Hour)), false, "after a release that follows the finish")
	}},
	{"a notice can be finished after its claim has ended", func(t *testing.T, s *store) {
		s.noticer()
		_, key := s.add()
		first := claimAt(1, key.ID, past)
		s.wantClaimed(first, true, "for the first time")
		s.wantClaimed(claimAt(1, key.ID, past.Add(lease)), true, "at the end of the first claim")
		s.finishNotice(first)
		s.wantSent([]string{first.ID}, first.ID)
	}},
	{"SentNotices returns the finished notices", func(t *testing.T, s *store) {
		s.noticer()
		_, key := s.add()
		var ids []string
		for n := range 4 {
			c := claimAt(n, key.ID, past)
			ids = append(ids, c.ID)
			s.wantClaimed(c, true, "for the first time")
			if n%2 == 1 {
				s.finishNotice(c)
			}
		}
		s.wantSent(append(ids, "unknown", "'; --"), ids[1], ids[3])
		s.wantSent(ids[:2], ids[1])
		s.wantSent(nil)
	}},
	{"SentNotices accepts a limited number of IDs", func(t *testing.T, s *store) {
		noticer := s.noticer()
		ids := make([]string, apikey.MaxNotices)
		for i := range ids {
			ids[i] = fmt.Sprintf("notice-%d", i)
		}
		s.wantSent(ids)
		_, err := noticer.SentNotices(t.Context(), append(ids, "one-more"))
		s.wantError("SentNotices(too many IDs)", err, apikey.ErrInvalid)
	}},
	{"a claim about an unknown key is ErrNotFound", func(t *testing.T, s *store) {
		noticer := s.noticer()
		for _, id := range []string{"unknown", "", "'; --"} {
			claimed, err := noticer.ClaimNotice(t.Context(), claimAt(1, id, past))
			s.wantError("ClaimNotice(unknown key)", err, apikey.ErrNotFound)
			if claimed {
				t.Errorf("ClaimNotice(unknown key) = true; want false")
			}
		}
	}},
	{"finishing or releasing a notice that was never claimed does nothing", func(t *testing.T, s *store) {
		s.noticer()
		_, key := s.add()
		c := claimAt(1, key.ID, past)
		s.finishNotice(c)
		s.releaseNotice(c)
		s.wantSent([]string{c.ID})
		s.wantClaimed(c, true, "for the first time")
	}},
	{"an invalid claim is ErrInvalid", func(t *testing.T, s *store) {
		noticer := s.noticer()
		_, key := s.add()
		for name, edit := range map[string]func(*apikey.NoticeClaim){
			"without an ID":         func(c *apikey.NoticeClaim) { c.ID = "" },
			"with a space in ID":    func(c *apikey.NoticeClaim) { c.ID = "a b" },
			"without At":            func(c *apikey.NoticeClaim) { c.At = time.Time{} },
			"with Until at At":      func(c *apikey.NoticeClaim) { c.Until = c.At },
			"with Until before At":  func(c *apikey.NoticeClaim) { c.Until = c.At.Add(-time.Hour) },
			"with Until after 9999": func(c *apikey.NoticeClaim) { c.Until = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		} {
			c := claimAt(1, key.ID, past)
			edit(&c)
			_, err := noticer.ClaimNotice(t.Context(), c)
			s.wantError("ClaimNotice(claim "+name+")", err, apikey.ErrInvalid)
			s.wantError("FinishNotice(claim "+name+")", noticer.FinishNotice(t.Context(), c), apikey.ErrInvalid)
			s.wantError("ReleaseNotice(claim "+name+")", noticer.ReleaseNotice(t.Context(), c), apikey.ErrInvalid)
		}
	}},
	{"one of several concurrent claims is in force", func(t *testing.T, s *store) {
		noticer := s.noticer()
		_, key := s.add()
		var claims atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				claimed, err := noticer.ClaimNotice(t.Context(), claimAt(1, key.ID, past))
				if err != nil {
					t.Errorf("ClaimNotice, concurrently = %v; want nil", err)
				}
				if claimed {
					claims.Add(1)
				}
			})
		}
		all.Wait()
		if n := claims.Load(); n != 1 {
			t.Errorf("%d of 8 concurrent claims are in force; want 1", n)
		}
	}},
	{"a notice changes neither the key nor its audit trail", func(t *testing.T, s *store) {
		s.noticer()
		d, key := s.add()
		before := s.get(key.ID)
		c := claimAt(1, key.ID, past)
		s.wantClaimed(c, true, "for the first time")
		s.finishNotice(c)
		s.wantStored(d, before)
		if auditor, ok := apikey.StoreAs[apikey.Auditor](s.KeyManager); ok {
			if page, err := auditor.Audit(t.Context(), apikey.AuditOptions{KeyID: key.ID}); err != nil || len(page.Entries) != 1 {
				t.Errorf("Audit() = %d entries, %v after a notice; want the one of Create", len(page.Entries), err)
			}
		}
	}},
}
