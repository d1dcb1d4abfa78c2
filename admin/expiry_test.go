package admin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestForgedExpiryDoesNotPassMaxLifetime(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	s.limit(apikey.IssuerOptions{MaxLifetime: 30 * day})
	key := s.make(apikey.NewKey{Name: "x"})
	v := s.visitor()
	for _, expiry := range []string{"never", "bogus", "default", "365", "date", ""} {
		for _, was := range []string{"", fingerprint("expiry", ""), fingerprint("expiry", expiry)} {
			form := v.editValues(key.ID)
			form.Set("expiry", expiry)
			form["was"] = append([]string{was}, form["was"]...)
			a := v.do("POST", "/admin/keys/"+key.ID+"/edit", form.Encode())
			assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode, expiry)
			assert.Contains(t, a.body, `id="expiry-problem"`, expiry)
		}
	}
	got, err := s.store.Get(t.Context(), key.ID)
	require.NoError(t, err)
	assert.Equal(t, key, got)
}

func TestEditDoesNotRenewAKeyPastMaxLifetime(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	s.limit(apikey.IssuerOptions{MaxLifetime: 30 * day})
	now := time.Now().UTC().Truncate(time.Microsecond)
	key := apikey.Key{ID: "old", Name: "x", Hint: "ak_1", CreatedAt: now.Add(-20 * day), ExpiresAt: now.Add(day)}
	require.NoError(t, s.store.Create(t.Context(), apikey.Digest{1}, key))
	latest := key.CreatedAt.Add(30 * day)
	v := s.visitor()
	body := v.get("/admin/keys/old/edit").body
	assert.NotContains(t, body, `name="expiry" value="30"`)
	assert.Contains(t, body, "To use it longer, rotate it or add a new key.")
	assert.Equal(t, http.StatusUnprocessableEntity, v.edit("old", "expiry", "30").StatusCode)
	assert.Equal(t, http.StatusUnprocessableEntity, v.edit("old", "expiry", "date", "date", latest.Format(dateLayout)).StatusCode)
	require.Equal(t, http.StatusSeeOther, v.edit("old", "expiry", "date", "date", lastDay(latest).Format(dateLayout)).StatusCode)
	got, err := s.store.Get(t.Context(), "old")
	require.NoError(t, err)
	assert.Equal(t, latest.Truncate(day), got.ExpiresAt)

	key.ID, key.CreatedAt = "older", now.Add(-40*day)
	require.NoError(t, s.store.Create(t.Context(), apikey.Digest{2}, key))
	assert.NotContains(t, v.get("/admin/keys/older/edit").body, `name="expiry" value="date"`)
	assert.Equal(t, "../older", v.edit("older").Header.Get("Location"), "the expiry that the key has stays")
	assert.Equal(t, http.StatusUnprocessableEntity, v.edit("older", "expiry", "7").StatusCode)
}

func TestEditRevivesAnExpiredKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	key := editedKey(s)
	past := time.Now().Add(-day)
	_, err := s.store.Update(t.Context(), key.ID, apikey.Patch{ExpiresAt: &past})
	require.NoError(t, err)
	v := s.visitor()
	assert.Contains(t, v.get("/admin/keys/"+key.ID).body, `href="../keys/`+key.ID+`/edit"`)
	require.Equal(t, http.StatusSeeOther, v.edit(key.ID, "expiry", "30").StatusCode)
	got, err := s.store.Get(t.Context(), key.ID)
	require.NoError(t, err)
	assert.NoError(t, got.Check(time.Now()))
}

func TestExpiriesFollowTheIssuer(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	now := time.Date(2030, 3, 4, 5, 6, 7, 0, time.UTC)
	s.handler.now = func() time.Time { return now }
	v := s.handler.visit(nil, &http.Request{URL: &url.URL{Path: "/"}})
	values := func(key *apikey.Key) (all []string) {
		for _, c := range v.expiries(now, key) {
			all = append(all, c.Value)
		}
		return all
	}
	endless, ending := &apikey.Key{CreatedAt: now}, &apikey.Key{CreatedAt: now, ExpiresAt: now.Add(day)}
	for _, test := range []struct {
		name                         string
		usual, limit                 time.Duration
		chosen, added, endless, ends string
	}{
		{"no limit", 0, 0, "90", "7 30 90 365 never date", "keep 7 30 90 365 date", "keep 7 30 90 365 never date"},
		{"an offered default", 30 * day, 0, "30", "7 30 90 365 date", "keep 7 30 90 365 date", "keep 7 30 90 365 never date"},
		{"another default", 36 * time.Hour, 0, "default", "default 7 30 90 365 date", "keep 7 30 90 365 date", "keep 7 30 90 365 never date"},
		{"a limit", 0, 40 * day, "default", "default 7 30 date", "keep 7 30 date", "keep 7 30 date"},
		{"an hour", 0, time.Hour, "default", "default", "keep", "keep"},
	} {
		s.limit(apikey.IssuerOptions{DefaultLifetime: test.usual, MaxLifetime: test.limit})
		assert.Equal(t, test.chosen, v.defaultExpiry(now), test.name)
		assert.Equal(t, test.added, strings.Join(values(nil), " "), test.name)
		assert.Equal(t, test.endless, strings.Join(values(endless), " "), test.name)
		assert.Equal(t, test.ends, strings.Join(values(ending), " "), test.name)
	}

	s.limit(apikey.IssuerOptions{MaxLifetime: 40 * day})
	_, problem := v.expiry(&keyForm{Expiry: dateExpiry, Date: "2030-04-13"}, nil)
	assert.Equal(t, "Choose a day from today to "+isolate("2030-04-12")+".", problem)
	at, problem := v.expiry(&keyForm{Expiry: dateExpiry, Date: "2030-04-12"}, nil)
	assert.Empty(t, problem)
	assert.LessOrEqual(t, at.Sub(now), 40*day)
	_, problem = v.expiry(&keyForm{Expiry: neverExpiry}, endless)
	assert.NotEmpty(t, problem)
}

func TestAddUsesTheDefaultLifetime(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	s.limit(apikey.IssuerOptions{MaxLifetime: 36 * time.Hour})
	v := s.visitor()
	assert.Contains(t, v.get("/admin/add").body, `value="default" checked`)
	require.Equal(t, http.StatusOK, v.post("/admin/add", "name", "Backup job", "expiry", "default").StatusCode)
	assert.WithinDuration(t, time.Now().Add(36*time.Hour), s.newest().ExpiresAt, time.Minute)
}
