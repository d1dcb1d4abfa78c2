package storetest

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// trail returns the audit entries of a key, or of all keys, from pages with this Limit.
func (s *store) trail(auditor apikey.Auditor, keyID string, limit int) []apikey.AuditEntry {
	s.t.Helper()
	var all []apikey.AuditEntry
	o, seen := apikey.AuditOptions{KeyID: keyID, Limit: limit}, make(map[string]bool)
	for range maxPages {
		page, err := auditor.Audit(s.t.Context(), o)
		if err != nil {
			s.t.Fatalf("Audit(KeyID: %q) = %v; want nil", keyID, err)
		}
		if limit > 0 && len(page.Entries) > limit {
			s.t.Fatalf("Audit(KeyID: %q) = a page of %d entries; want at most the Limit of %d", keyID, len(page.Entries), limit)
		}
		all = append(all, page.Entries...)
		if page.Next == "" {
			return all
		}
		if seen[page.Next] {
			s.t.Fatalf("Audit(KeyID: %q) returned the same Next twice; want pages that advance", keyID)
		}
		seen[page.Next] = true
		o.Cursor = page.Next
	}
	s.t.Fatalf("Audit(KeyID: %q) has more than %d pages", keyID, maxPages)
	return nil
}

// actions returns the actor, action and key ID of each entry.
func actions(entries []apikey.AuditEntry) []string {
	var all []string
	for _, e := range entries {
		all = append(all, e.Actor+" "+e.Action+" "+e.KeyID)
	}
	return all
}

// writeHistory makes one write of each kind to a key, each by another actor. It returns the digests
// of the key and its successor.
func (s *store) writeHistory() (digests []apikey.Digest, key, successor apikey.Key) {
	s.t.Helper()
	as := func(actor string) context.Context { return apikey.WithActor(s.t.Context(), actor) }
	d, key := s.next()
	fresh, next := s.next()
	err := s.Create(as("ann"), d, key)
	s.must("Create(key)", key, err)
	patch := apikey.Patch{Name: new("renamed"), Scopes: new([]string), Metadata: new(map[string]string), ExpiresAt: &graceEnd}
	updated, err := s.Update(as("bob"), key.ID, patch)
	s.must("Update(key)", updated, err)
	successor, err = s.Replace(as("cleo"), key.ID, graceEnd, fresh, next)
	s.must("Replace(key)", successor, err)
	revoked, err := s.Revoke(as("dan"), key.ID)
	s.must("Revoke(key)", revoked, err)
	return []apikey.Digest{d, fresh}, key, successor
}

var auditRules = []rule{
	{"every write has an entry with actor, action, key and time", func(t *testing.T, s *store) {
		auditor := s.auditor()
		from := time.Now().Add(-maxClockSkew)
		_, key, successor := s.writeHistory()
		to := time.Now().Add(maxClockSkew)
		got := s.trail(auditor, "", 0)
		for _, want := range []string{"ann create " + key.ID, "bob update " + key.ID, "cleo replace " + key.ID, "dan revoke " + key.ID} {
			if !slices.Contains(actions(got), want) {
				t.Errorf("Audit() = %q; want it to include %q", actions(got), want)
			}
		}
		for _, e := range got {
			if e.At.Before(from) || e.At.After(to) || e.At.Location() != time.UTC {
				t.Errorf("%s entry of %s: At = %v; want the current time in UTC", e.Action, e.KeyID, e.At)
			}
			if e.KeyID != key.ID && e.KeyID != successor.ID {
				t.Errorf("%s entry of %q, which was not written; want none", e.Action, e.KeyID)
			}
		}
	}},
	{"every entry has the old and the new value of each changed field", func(t *testing.T, s *store) {
		auditor := s.auditor()
		_, key := s.add(func(key *apikey.Key) { key.ID, key.Metadata = "key", map[string]string{"z": `<"&`, "a": "é"} })
		s.update(key.ID, apikey.Patch{Scopes: &[]string{"apikeys:manage"}})
		s.update(key.ID, apikey.Patch{Scopes: new([]string), Name: new("renamed"), Metadata: new(map[string]string), ExpiresAt: new(time.Time)})
		s.update(key.ID, apikey.Patch{Name: new("renamed")})
		_, first := s.replace(key.ID, graceEnd)
		s.revoke(first.ID)
		_, second := s.replace(key.ID, past)
		s.revoke(second.ID)
		moment := func(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }
		end, created := moment(future), []apikey.FieldChange{
			{Field: "name", New: key.Name}, {Field: "owner", New: "ada"}, {Field: "scopes", New: "library:write library:read"},
			{Field: "metadata", New: `{"a":"é","z":"<\"&"}`}, {Field: "expires", New: moment(future)},
		}
		inherits := []apikey.FieldChange{{Field: "name", New: "renamed"}, {Field: "owner", New: "ada"}}
		for id, want := range map[string][][]apikey.FieldChange{
			key.ID: {
				{{Field: "revoked", New: moment(s.get(key.ID).RevokedAt)}, {Field: "replaced_by", New: second.ID}},
				{{Field: "expires", New: moment(graceEnd)}, {Field: "replaced_by", New: first.ID}},
				nil,
				{{Field: "name", Old: key.Name, New: "renamed"}, {Field: "scopes", Old: "apikeys:manage"},
					{Field: "metadata", Old: `{"a":"é","z":"<\"&"}`}, {Field: "expires", Old: end}},
				{{Field: "scopes", Old: "library:write library:read", New: "apikeys:manage"}},
				created,
			},
			first.ID: {
				{{Field: "revoked", New: moment(s.get(first.ID).RevokedAt)}},
				slices.Concat(inherits, []apikey.FieldChange{{Field: "expires", New: moment(first.ExpiresAt)}, {Field: "replaces", New: key.ID}}),
			},
		} {
			entries := s.trail(auditor, id, 0)
			if len(entries) != len(want) {
				t.Errorf("Audit(KeyID: %q) = %q; want %d entries", id, actions(entries), len(want))
				continue
			}
			for i, e := range entries {
				if !slices.Equal(e.Changes, want[i]) {
					t.Errorf("%s entry of %q: Changes = %q; want %q", e.Action, id, e.Changes, want[i])
				}
			}
		}
	}},
	{"stores the longest values in full", func(t *testing.T, s *store) {
		auditor := s.auditor()
		scopes := make([]string, 100)
		for i := range scopes {
			scopes[i] = strings.Repeat(string(rune('!'+i%2*2)), 100)
		}
		metadata := map[string]string{"k": strings.Repeat(`"`, 4095)}
		_, key := s.add()
		s.update(key.ID, apikey.Patch{Scopes: &scopes, Metadata: &metadata})
		s.update(key.ID, apikey.Patch{Scopes: new([]string), Metadata: new(map[string]string)})
		entries := s.trail(auditor, key.ID, 1)
		var old []string
		for _, c := range entries[0].Changes {
			old = append(old, c.Old)
		}
		if want := []string{strings.Join(scopes, " "), `{"k":"` + strings.Repeat(`\"`, 4095) + `"}`}; !slices.Equal(old, want) {
			t.Errorf("old values have %d bytes; want the whole values of %d bytes", len(fmt.Sprint(old)), len(fmt.Sprint(want)))
		}
	}},
	{"returns the newest entry first", func(t *testing.T, s *store) {
		auditor := s.auditor()
		_, key, _ := s.writeHistory()
		want := []string{"dan revoke " + key.ID, "cleo replace " + key.ID, "bob update " + key.ID, "ann create " + key.ID}
		if got := actions(s.trail(auditor, key.ID, 0)); !slices.Equal(got, want) {
			t.Errorf("Audit(KeyID: %q) = %q; want %q", key.ID, got, want)
		}
		all := actions(s.trail(auditor, "", 0))
		all = slices.DeleteFunc(all, func(a string) bool { return !slices.Contains(want, a) })
		if !slices.Equal(all, want) {
			t.Errorf("Audit() has %q of the key; want %q", all, want)
		}
	}},
	{"the trail of a key contains only its entries", func(t *testing.T, s *store) {
		auditor := s.auditor()
		_, upper := s.add(func(key *apikey.Key) { key.ID = "Key-a" })
		_, lower := s.add(func(key *apikey.Key) { key.ID = "key-a" })
		s.revoke(upper.ID)
		for id, want := range map[string][]string{
			upper.ID:  {" revoke Key-a", " create Key-a"}, // the context has no actor
			lower.ID:  {" create key-a"},
			"KEY-A":   nil,
			"key-":    nil,
			"key%":    nil,
			"unknown": nil,
		} {
			if got := actions(s.trail(auditor, id, 0)); !slices.Equal(got, want) {
				t.Errorf("Audit(KeyID: %q) = %q; want %q", id, got, want)
			}
		}
	}},
	{"pages of any size list every entry once", func(t *testing.T, s *store) {
		auditor := s.auditor()
		_, key, _ := s.writeHistory()
		s.writeHistory()
		for _, id := range []string{"", key.ID} {
			whole := s.trail(auditor, id, 500)
			if len(whole) < 4 {
				t.Errorf("Audit(KeyID: %q) = %d entries; want at least 4", id, len(whole))
			}
			for _, limit := range []int{1, 2, 3} {
				if got := s.trail(auditor, id, limit); !reflect.DeepEqual(got, whole) {
					t.Errorf("Audit(KeyID: %q, Limit: %d) = %q; want %q", id, limit, actions(got), actions(whole))
				}
			}
		}
	}},
	{"a write between pages neither repeats nor skips entries", func(t *testing.T, s *store) {
		auditor := s.auditor()
		_, key, _ := s.writeHistory()
		whole := s.trail(auditor, key.ID, 0)
		first, err := auditor.Audit(t.Context(), apikey.AuditOptions{KeyID: key.ID, Limit: 2})
		if err != nil || first.Next == "" {
			t.Fatalf("Audit(KeyID: %q, Limit: 2) = Next %q, %v; want a Next", key.ID, first.Next, err)
		}
		s.update(key.ID, apikey.Patch{ExpiresAt: &past})
		second, err := auditor.Audit(t.Context(), apikey.AuditOptions{KeyID: key.ID, Cursor: first.Next, Limit: 50})
		if got := slices.Concat(first.Entries, second.Entries); err != nil || !reflect.DeepEqual(got, whole) {
			t.Errorf("both pages = %q, %v; want %q", actions(got), err, actions(whole))
		}
	}},
	{"a failed write has no entry", func(t *testing.T, s *store) {
		auditor := s.auditor()
		d, key := s.add()
		_, ended := s.add()
		s.revoke(ended.ID)
		before := s.trail(auditor, "", 0)
		fresh, other := s.next()
		ctx := t.Context()
		_, unknown := s.Update(ctx, "unknown", apikey.Patch{})
		_, invalid := s.Update(ctx, key.ID, apikey.Patch{Name: new("\x00")})
		_, revoked := s.Replace(ctx, ended.ID, graceEnd, fresh, other)
		_, taken := s.Replace(ctx, key.ID, graceEnd, d, other)
		_, gone := s.Revoke(ctx, "unknown")
		for call, err := range map[string]error{
			"Create(taken digest)": s.Create(ctx, d, other), "Create(taken ID)": s.Create(ctx, fresh, key),
			"Update(unknown ID)": unknown, "Update(invalid Name)": invalid, "Replace(revoked key)": revoked,
			"Replace(taken digest)": taken, "Revoke(unknown ID)": gone,
		} {
			if err == nil {
				t.Errorf("%s = nil; want an error", call)
			}
		}
		if after := s.trail(auditor, "", 0); !reflect.DeepEqual(after, before) {
			t.Errorf("Audit() after failed writes = %q; want %q", actions(after), actions(before))
		}
	}},
	{"no entry contains a digest", func(t *testing.T, s *store) {
		auditor := s.auditor()
		digests, _, _ := s.writeHistory()
		entries := s.trail(auditor, "", 0)
		if len(entries) == 0 {
			t.Fatal("Audit() = no entries; want some")
		}
		for _, e := range entries {
			text := fmt.Sprintf("%+v", e)
			for _, d := range digests {
				for _, encoded := range []string{hex.EncodeToString(d[:]), string(d[:]), base64.RawStdEncoding.EncodeToString(d[:]), base64.RawURLEncoding.EncodeToString(d[:]), strings.Trim(fmt.Sprint(d), "[]")} {
					if strings.Contains(text, encoded) || strings.Contains(strings.ToLower(text), strings.ToLower(encoded)) {
						t.Errorf("%s entry of %s contains the digest; want no digest", e.Action, e.KeyID)
					}
				}
			}
		}
	}},
	{"returns ErrInvalid for an invalid Cursor or Limit", func(t *testing.T, s *store) {
		auditor := s.auditor()
		s.writeHistory()
		for _, cursor := range []string{" ", "!", "not a cursor", "\x00", "\xff", "' OR 1=1 --", strings.Repeat("A", 1<<16)} {
			_, err := auditor.Audit(t.Context(), apikey.AuditOptions{Cursor: cursor, Limit: 10})
			s.wantError("Audit(Cursor: "+short(cursor)+")", err, apikey.ErrInvalid)
		}
		for _, limit := range []int{-1, 501} {
			_, err := auditor.Audit(t.Context(), apikey.AuditOptions{Limit: limit})
			s.wantError(fmt.Sprintf("Audit(Limit: %d)", limit), err, apikey.ErrInvalid)
		}
	}},
}
