package admin

import (
	"context"
	"encoding/csv"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

var hourly = []apikey.Limit{{Name: "hourly", Requests: 60, Per: time.Hour}, {Name: "quota", Requests: 1000, Calendar: "month"}}

func TestAddTakesLimits(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	v := s.visitor()
	require.Equal(t, http.StatusOK, v.post("/admin/add", "name", "Backup job", "expiry", "never", "limits", " hourly=60/60m  quota=1000/month").StatusCode)
	assert.Equal(t, hourly, s.newest().Limits)
	a := v.post("/admin/add", "name", "Other job", "expiry", "never", "limits", "hourly=60")
	assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
	assert.Contains(t, a.body, `id="limits-problem"`)
	assert.Contains(t, a.body, `value="hourly=60"`, "the form keeps what was entered")
}

func TestProblemsOfLimitsAreTranslated(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann, Translate: func(english string) string {
		return strings.Replace(english, "Enter", "Bitte", 1)
	}})
	v := s.visitor()
	eight := "a=1/day b=1/day c=1/day d=1/day e=1/day f=1/day g=1/day h=1/day "
	for typed, want := range map[string]string{
		"hourly=60": "is not a limit. Bitte", "api=0/1m": "is not a limit. Bitte", "api=1/1ns": "is not a limit. Bitte", "API=1/1m": "is not a limit. Bitte",
		"api=1/1m api=2/1m": "Bitte at most 8 limits", eight + "i=1/day": "Bitte at most 8 limits",
	} {
		body := html.UnescapeString(v.post("/admin/add", "name", "Backup job", "expiry", "never", "limits", typed).body)
		assert.Contains(t, body, want, typed)
		assert.NotContains(t, body, " want ", "a text for developers, for %s", typed)
	}
}

func TestOnlyAnAdministratorChangesLimits(t *testing.T) {
	t.Parallel()
	for face, may := range map[string]bool{"administrator": true, "auditor": false, "owner": false} {
		t.Run(face, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			key := s.make(apikey.NewKey{Name: "Limited", Owner: "alice", Limits: hourly})
			v := s.as(face)
			body := html.UnescapeString(v.get("/admin/keys/" + key.ID).body)
			assert.Contains(t, body, `<dt>Limits</dt><dd><code class="scope" dir="ltr">hourly=60/1h0m0s</code>`, "the page of the key")
			assert.Contains(t, body, `<span class="none">Limits</span> <span class="none">added</span> <code class="scope" dir="ltr">hourly=60/1h0m0s</code>`, "the history")
			assert.Equal(t, may, strings.Contains(v.get("/admin/add").body, `name="limits"`), "a field of the Add form")
			assert.Equal(t, may, strings.Contains(v.get("/admin/keys/"+key.ID+"/edit").body, `name="limits"`), "a field of the Edit form")
			form := s.as("administrator").editValues(key.ID)
			form.Set("limits", "")
			v.do("POST", "/admin/keys/"+key.ID+"/edit", form.Encode())
			got, err := s.store.Get(t.Context(), key.ID)
			require.NoError(t, err)
			assert.Equal(t, may, len(got.Limits) == 0, "a sent field")
		})
	}
}

func TestOwnerEditsALimitedKey(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	key := s.make(apikey.NewKey{Name: "Limited", Owner: "alice", Limits: hourly, ExpiresAt: time.Now().Add(day)})
	require.Equal(t, http.StatusSeeOther, s.as("owner").edit(key.ID, "name", "Nightly").StatusCode)
	got, err := s.store.Get(t.Context(), key.ID)
	require.NoError(t, err)
	assert.Equal(t, "Nightly", got.Name)
	assert.Equal(t, hourly, got.Limits)
}

func TestExportHasLimitsAndTheLastAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	secret, key := s.issue("Backup job")
	_, err := s.store.Update(t.Context(), key.ID, apikey.Patch{Limits: &hourly})
	require.NoError(t, err)
	digest, err := s.issuer.Format().Digest(apikey.NewSecret(secret))
	require.NoError(t, err)
	s.store.Touch(digest, apikey.Use{At: time.Now(), Addr: netip.MustParseAddr("2001:db8::1")})
	v := s.visitor()
	rows, err := csv.NewReader(strings.NewReader(v.get("/admin/keys.csv").body)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 2)
	cells := map[string]string{}
	for i, name := range rows[0] {
		cells[name] = rows[1][i]
	}
	assert.Equal(t, "hourly=60/1h0m0s quota=1000/month", cells["limits"])
	assert.Equal(t, "2001:db8::1", cells["last_used_addr"])
	file := v.get("/admin/keys.json").body
	assert.Contains(t, strings.Join(strings.Fields(file), ""), `"limits":["hourly=60/1h0m0s","quota=1000/month"]`)
	assert.Contains(t, file, `"last_used_addr": "2001:db8::1"`)
}

func TestOwnerIsToldTheRestrictionsOfTheAccess(t *testing.T) {
	t.Parallel()
	for name, translate := range map[string]func(string) string{"in English": nil, "translated": func(english string) string {
		return strings.Replace(english, "must", "MUST", 1)
	}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			network := netip.MustParsePrefix("192.0.2.0/24")
			restricted := manage.Access{Actor: "alice", Owner: "alice", Networks: []netip.Prefix{network}, Limits: hourly[:1]}
			s := newSite(t, Options{Translate: translate, Authorize: func(*http.Request) (manage.Access, error) { return restricted, nil }})
			v := s.visitor()
			v.account = accountOf("alice")
			must := "must"
			if translate != nil {
				must = "MUST"
			}
			a := v.post("/admin/add", "name", "New", "expiry", "30", "networks", "198.51.100.0/24")
			assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
			assert.Regexp(t, `id="networks-problem">The key `+must+` be restricted to .*192\.0\.2\.0/24`, a.body)
			require.Equal(t, http.StatusOK, v.post("/admin/add", "name", "New", "expiry", "30").StatusCode)
			assert.Equal(t, hourly[:1], s.newest().Limits, "a new key has the limits of the Access")
			unlimited := s.make(apikey.NewKey{Name: "Old", Owner: "alice", Networks: restricted.Networks, ExpiresAt: time.Now().Add(day)})
			a = v.edit(unlimited.ID, "expiry", "30")
			assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
			assert.Regexp(t, `<li>The key `+must+` have .*hourly=60/1h0m0s`, a.body)
		})
	}
}

func TestKeyShowsTheRemainingUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		key := apikey.Key{ID: "x", Name: "Limited", Limits: []apikey.Limit{{Name: "rate", Requests: 10, Per: time.Minute, Burst: 20}, {Name: "quota", Requests: 1000, Calendar: "day"}}}
		store := memstore.New()
		require.NoError(t, store.Create(t.Context(), apikey.Digest{1}, key))
		require.NoError(t, store.Create(t.Context(), apikey.Digest{2}, apikey.Key{ID: "free", Name: "Free"}))
		page := func(id string, limiter *limit.Limiter) string {
			h, err := newDashboard(deskOf(t, store, apikey.IssuerOptions{}), Options{Authorize: ann, Limiter: limiter, Logger: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/keys/"+id, nil))
			require.Equal(t, http.StatusOK, w.Code)
			return w.Body.String()
		}
		limiter, err := limit.New(limit.Memory(), limit.Options{})
		require.NoError(t, err)
		unused := page("x", limiter)
		assert.Contains(t, unused, `<bdi class="none">rate</bdi> 20 of 20</span>`, "nothing is used")
		assert.Contains(t, unused, `<bdi class="none">quota</bdi> 1000 of 1000</span>`, "nothing is used")
		require.NoError(t, limiter.Take(t.Context(), &key, 3))
		used := page("x", limiter)
		assert.Regexp(t, `rate</bdi> 17 of 20 <span class="pair">full again .*in 18 s`, used)
		assert.Regexp(t, `quota</bdi> 997 of 1000 <span class="pair">full again .*tomorrow`, used)
		broken, err := limit.New(brokenBackend{}, limit.Options{})
		require.NoError(t, err)
		assert.Contains(t, page("x", broken), `<dt>Requests left</dt><dd><span class="none">Not known</span></dd>`, "an outage")
		assert.NotContains(t, page("x", nil), "Requests left", "without a Limiter")
		assert.NotContains(t, page("free", broken), "Requests left", "without limits")
		_, err = store.Revoke(t.Context(), "x")
		require.NoError(t, err)
		assert.NotContains(t, page("x", limiter), "Requests left", "a revoked key")
	})
}

// A brokenBackend does not answer.
type brokenBackend struct{}

func (brokenBackend) Take(context.Context, string, []apikey.Limit, int64) (limit.Result, error) {
	return limit.Result{}, apikey.ErrUnavailable
}
