package manage

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/latchkey-dev/apikey"
)

// Notices returns an iterator over the Notices that are due now, whether or not a [Reminder] has sent them
// already. Keys that expire soon come first. A key can have two Notices. The iterator ends after the first
// error, which it yields with the zero Notice.
//
// A key that was rotated, and whose successor is neither revoked nor expired, has no Notice except
// NoticeReplacedInUse. If the store is not an [apikey.SuccessorFinder], rotated keys are treated like
// other keys.
//
// The iterator reads the keys that expire within 30 days, or within the longest time of Before, from an
// index, and the successor of each. With NoticeRules.Unused it also reads every other key. Package
// sqlstore does that in steps of at most 5,000 keys and about 25 ms. A million keys need 200 steps or
// more.
func (s *Session) Notices(ctx context.Context, rules NoticeRules) iter.Seq2[Notice, error] {
	return func(yield func(Notice, error) bool) {
		rules, err := s.checkRules(rules)
		if err != nil {
			yield(Notice{}, err)
			return
		}
		for page, err := range s.noticePages(ctx, rules) {
			if err != nil {
				yield(Notice{}, err)
				return
			}
			for _, n := range page {
				if !yield(n, nil) {
					return
				}
			}
		}
	}
}

// checkRules returns the rules with their defaults.
func (s *Session) checkRules(rules NoticeRules) (NoticeRules, error) {
	if _, ok := apikey.StoreAs[apikey.Toucher](s.manager()); !ok && rules.Unused != 0 {
		return rules, invalid("Unused", "%v, but %T does not record when keys are used; want 0", rules.Unused, s.manager())
	}
	return rules.validate()
}

// noticePages yields the Notices of each page of keys.
func (s *Session) noticePages(ctx context.Context, rules NoticeRules) iter.Seq2[[]Notice, error] {
	return func(yield func([]Notice, error) bool) {
		now := time.Now().Add(time.Microsecond) // because the bounds of a list are exclusive
		lists := []apikey.ListOptions{{Sort: apikey.SortExpires, ExpiresBefore: now.Add(rules.window())}}
		if rules.Unused > 0 {
			lists = append(lists, apikey.ListOptions{UnusedSince: now.Add(-rules.Unused)})
		}
		for _, o := range lists {
			o.Status, o.Limit = apikey.StatusActive, apikey.MaxSuccessors
			for more := true; more; more = o.Cursor != "" {
				page, err := s.List(ctx, o)
				if err != nil {
					yield(nil, err)
					return
				}
				o.Cursor = page.Next
				notices, err := s.noticesOf(ctx, page.Keys, rules, !o.UnusedSince.IsZero())
				if !yield(notices, err) || err != nil {
					return
				}
			}
		}
	}
}

// noticesOf returns the Notices of keys that were listed because they expire, or because they are unused.
func (s *Session) noticesOf(ctx context.Context, keys []apikey.Key, rules NoticeRules, unused bool) ([]Notice, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	successors, err := s.anySuccessors(ctx, keys)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	var all []Notice
	for i := range keys {
		key := &keys[i]
		r, err := s.rotationOf(ctx, successors[key.ID], now)
		if err != nil {
			return nil, err
		}
		var n Notice
		var due bool
		switch {
		case r != nil && !unused:
			n, due = replacedInUse(key, r.at, now)
			n.Successor = r.successor
		case r == nil && unused:
			n, due = rules.unused(key, now)
		case r == nil:
			n, due = rules.expiring(key, now)
		}
		if due {
			all = append(all, n)
		}
	}
	return all, nil
}

// A rotation replaced a key by a successor that is neither revoked nor expired.
type rotation struct {
	at        time.Time
	successor string // "" if the session may not see it
}

// rotationOf returns the rotation that made a successor, or nil if neither it nor a successor of its own
// may be used. A suspended key counts as usable, because it can be resumed.
func (s *Session) rotationOf(ctx context.Context, successor string, now time.Time) (*rotation, error) {
	var first time.Time
	for seen := map[string]bool{}; successor != "" && !seen[successor]; {
		seen[successor] = true
		key, err := s.manager().Get(ctx, successor)
		if errors.Is(err, apikey.ErrNotFound) {
			return nil, nil // the successor was deleted since
		}
		if err != nil {
			return nil, err
		}
		if first.IsZero() {
			first = key.CreatedAt
		}
		if err := key.Check(now); err == nil || errors.Is(err, apikey.ErrSuspended) {
			r := &rotation{at: first}
			if s.sees(key) {
				r.successor = key.ID
			}
			return r, nil
		}
		finder, ok := apikey.StoreAs[apikey.SuccessorFinder](s.manager())
		if !ok {
			return nil, nil
		}
		next, err := finder.Successors(ctx, []string{key.ID})
		if err != nil {
			return nil, err
		}
		successor = next[key.ID]
	}
	return nil, nil
}
