package storetest

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// trail returns the entries of a key, or of all keys, from pages of this size.
func (s *subject) trail(auditor apikey.Auditor, keyID string, limit int) []apikey.AuditEntry {
	s.t.Helper()
	var all []apikey.AuditEntry
	cursor, seen := "", make(map[string]bool)
	for range maxPages {
		entries, next, err := auditor.Audit(s.t.Context(), keyID, cursor, limit)
		if err != nil {
			s.t.Fatalf("Audit of %q: %v", keyID, err)
		}
		if limit > 0 && len(entries) > limit {
			s.t.Fatalf("Audit of %q: a page of %d entries, over the limit of %d", keyID, len(entries), limit)
		}
		all = append(all, entries...)
		if next == "" {
			return all
		}
		if seen[next] {
			s.t.Fatalf("Audit of %q: the same next twice, so the trail has no end", keyID)
		}
		seen[next] = true
		cursor = next
	}
	s.t.Fatalf("Audit of %q: more than %d pages", keyID, maxPages)
	return nil
}

// actions returns what entries tell, in few words.
func actions(entries []apikey.AuditEntry) []string {
	var all []string
	for _, e := range entries {
		all = append(all, e.Actor+" "+e.Action+" "+e.KeyID)
	}
	return all
}

// history makes each kind of write to one key, by an actor of its own, and returns the
// digests.
func (s *subject) history() (digests []apikey.Digest, key, successor apikey.Key) {
	s.t.Helper()
	as := func(actor string) context.Context { return apikey.WithActor(s.t.Context(), actor) }
	d, key := s.next()
	fresh, heir := s.next()
	if err := s.Create(as("ann"), d, key); err != nil {
		s.t.Fatal(err)
	}
	s.must(s.Update(as("bob"), key.ID, apikey.Patch{Name: new("renamed"), Scopes: new([]string), Metadata: new(map[string]string), ExpiresAt: &soon}))
	successor = s.must(s.Replace(as("cleo"), key.ID, soon, fresh, heir))
	s.must(s.Revoke(as("dan"), key.ID))
	return []apikey.Digest{d, fresh}, key, successor
}

var auditRules = []rule{
	{"each write has an entry with its actor, action, key and time", func(t *testing.T, s *subject) {
		auditor := s.auditor()
		from := time.Now().Add(-slack)
		_, key, successor := s.history()
		to := time.Now().Add(slack)
		got := s.trail(auditor, "", 0)
		for _, want := range []string{"ann create " + key.ID, "bob update " + key.ID, "cleo replace " + key.ID, "dan revoke " + key.ID} {
			if !slices.Contains(actions(got), want) {
				t.Errorf("the trail is %q, without %q", actions(got), want)
			}
		}
		for _, e := range got {
			if e.At.Before(from) || e.At.After(to) || e.At.Location() != time.UTC {
				t.Errorf("%s of %s is told to have been at %v; want the time of now, in UTC", e.Action, e.KeyID, e.At)
			}
			if e.KeyID != key.ID && e.KeyID != successor.ID {
				t.Errorf("an entry is of the key %q, which nobody wrote to", e.KeyID)
			}
		}
	}},
	{"the newest entry comes first", func(t *testing.T, s *subject) {
		auditor := s.auditor()
		_, key, _ := s.history()
		want := []string{"dan revoke " + key.ID, "cleo replace " + key.ID, "bob update " + key.ID, "ann create " + key.ID}
		if got := actions(s.trail(auditor, key.ID, 0)); !slices.Equal(got, want) {
			t.Errorf("the trail of the key is %q, want %q", got, want)
		}
		all := actions(s.trail(auditor, "", 0))
		all = slices.DeleteFunc(all, func(a string) bool { return !slices.Contains(want, a) })
		if !slices.Equal(all, want) {
			t.Errorf("the trail of all keys has %q, want %q", all, want)
		}
	}},
	{"the trail of a key is of that key alone", func(t *testing.T, s *subject) {
		auditor := s.auditor()
		_, upper := s.add(func(key *apikey.Key) { key.ID = "Key-a" })
		_, lower := s.add(func(key *apikey.Key) { key.ID = "key-a" })
		s.revoke(upper.ID)
		for id, want := range map[string][]string{
			upper.ID: {" revoke Key-a", " create Key-a"}, // and no actor, as the context has none
			lower.ID: {" create key-a"},
			"KEY-A":  nil,
			"key-":   nil,
			"key%":   nil,
			"nobody": nil,
		} {
			if got := actions(s.trail(auditor, id, 0)); !slices.Equal(got, want) {
				t.Errorf("the trail of %q is %q, want %q", id, got, want)
			}
		}
	}},
	{"pages have every entry once, whatever their size", func(t *testing.T, s *subject) {
		auditor := s.auditor()
		_, key, _ := s.history()
		s.history()
		for _, id := range []string{"", key.ID} {
			whole := s.trail(auditor, id, 500)
			if len(whole) < 4 {
				t.Errorf("the trail of %q has %d entries, want 4 or more", id, len(whole))
			}
			for _, limit := range []int{1, 2, 3} {
				if got := s.trail(auditor, id, limit); !slices.Equal(got, whole) {
					t.Errorf("the trail of %q by %d is %q, want %q", id, limit, actions(got), actions(whole))
				}
			}
		}
	}},
	{"a write between pages neither repeats nor skips entries", func(t *testing.T, s *subject) {
		auditor := s.auditor()
		_, key, _ := s.history()
		whole := s.trail(auditor, key.ID, 0)
		first, next, err := auditor.Audit(t.Context(), key.ID, "", 2)
		if err != nil || next == "" {
			t.Fatalf("the first of two pages: next is %q, %v", next, err)
		}
		s.update(key.ID, apikey.Patch{ExpiresAt: &past})
		second, _, err := auditor.Audit(t.Context(), key.ID, next, 50)
		if got := slices.Concat(first, second); err != nil || !slices.Equal(got, whole) {
			t.Errorf("the pages have %q, %v; want %q", actions(got), err, actions(whole))
		}
	}},
	{"a write that failed has no entry", func(t *testing.T, s *subject) {
		auditor := s.auditor()
		d, key := s.add()
		_, ended := s.add()
		s.revoke(ended.ID)
		before := s.trail(auditor, "", 0)
		fresh, other := s.next()
		ctx := t.Context()
		_, unknown := s.Update(ctx, "nobody", apikey.Patch{})
		_, invalid := s.Update(ctx, key.ID, apikey.Patch{Name: new("\x00")})
		_, revoked := s.Replace(ctx, ended.ID, soon, fresh, other)
		_, taken := s.Replace(ctx, key.ID, soon, d, other)
		_, gone := s.Revoke(ctx, "nobody")
		for what, err := range map[string]error{
			"Create": s.Create(ctx, d, other), "Create again": s.Create(ctx, fresh, key),
			"Update of nobody": unknown, "Update with a bad name": invalid, "Replace of a revoked key": revoked,
			"Replace with a taken digest": taken, "Revoke of nobody": gone,
		} {
			if err == nil {
				t.Errorf("%s: no error", what)
			}
		}
		if after := s.trail(auditor, "", 0); !slices.Equal(after, before) {
			t.Errorf("the trail is %q after writes that failed, want %q", actions(after), actions(before))
		}
	}},
	{"no entry holds a digest", func(t *testing.T, s *subject) {
		auditor := s.auditor()
		digests, _, _ := s.history()
		entries := s.trail(auditor, "", 0)
		if len(entries) == 0 {
			t.Fatal("the trail is empty")
		}
		for _, e := range entries {
			text := fmt.Sprintf("%+v", e)
			for _, d := range digests {
				for _, written := range []string{hex.EncodeToString(d[:]), string(d[:]), base64.RawStdEncoding.EncodeToString(d[:]), base64.RawURLEncoding.EncodeToString(d[:]), strings.Trim(fmt.Sprint(d), "[]")} {
					if strings.Contains(text, written) || strings.Contains(strings.ToLower(text), strings.ToLower(written)) {
						t.Errorf("the entry of %s of %s has the digest in it", e.Action, e.KeyID)
					}
				}
			}
		}
	}},
	{"a cursor that does not decode or a limit out of range is ErrInvalid", func(t *testing.T, s *subject) {
		auditor := s.auditor()
		s.history()
		for _, cursor := range []string{" ", "!", "not a cursor", "\x00", "\xff", "' OR 1=1 --", strings.Repeat("A", 1<<16)} {
			_, _, err := auditor.Audit(t.Context(), "", cursor, 10)
			s.refused("Audit with the cursor "+short(cursor), err, apikey.ErrInvalid)
		}
		for _, limit := range []int{-1, 501} {
			_, _, err := auditor.Audit(t.Context(), "", "", limit)
			s.refused(fmt.Sprintf("Audit with the limit %d", limit), err, apikey.ErrInvalid)
		}
	}},
}
