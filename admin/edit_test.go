package admin

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// edit loads the form of a key, replaces fields and sends it.
func (v *visitor) edit(id string, fields ...string) answer {
	v.s.t.Helper()
	form := v.editValues(id)
	for i := 0; i+1 < len(fields); i += 2 {
		form[fields[i]] = []string{fields[i+1]}
	}
	return v.do("POST", "/admin/keys/"+id+"/edit", form.Encode())
}

// editValues returns the values that a browser sends if the administrator changes nothing.
func (v *visitor) editValues(id string) url.Values {
	v.s.t.Helper()
	a := v.get("/admin/keys/" + id + "/edit")
	require.Equal(v.s.t, http.StatusOK, a.StatusCode)
	return formValues(a)
}

// formValues returns the values of the Edit form in a page.
func formValues(a answer) url.Values {
	form := url.Values{}
	_, main, _ := strings.Cut(a.body, "<form method=\"post\" action=\"../../keys/")
	for _, tag := range strings.Split(main, "<input ")[1:] {
		tag, _, _ = strings.Cut(tag, ">")
		box := strings.Contains(tag, `type="checkbox"`) || strings.Contains(tag, `type="radio"`)
		if !box || strings.Contains(tag, " checked") {
			form.Add(attribute(tag, "name"), attribute(tag, " value"))
		}
	}
	for _, area := range strings.Split(main, "<textarea ")[1:] {
		tag, rest, _ := strings.Cut(area, ">")
		text, _, _ := strings.Cut(rest, "</textarea>")
		form.Add(attribute(tag, "name"), strings.ReplaceAll(html.UnescapeString(text), "\n", "\r\n"))
	}
	return form
}

func editedKey(s *site) apikey.Key {
	return s.make(apikey.NewKey{
		Name: "Backup job", Owner: "Operations", Scopes: []string{"b:read", "a:read"}, ExpiresAt: time.Now().Add(30 * day),
		Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
		Limits:   []apikey.Limit{{Name: "api", Requests: 100, Per: time.Minute, Burst: 20}, {Name: "quota", Requests: 10_000, Calendar: "month"}},
		Metadata: map[string]string{"room": "4", "floor": "1=first"},
	})
}

func TestEditChangesTheChangedFields(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	v := s.visitor()
	for _, test := range []struct {
		field, value string
		want         func(*apikey.Key)
	}{
		{"name", " Other job ", func(k *apikey.Key) { k.Name = "Other job" }},
		{"owner", "", func(k *apikey.Key) { k.Owner, k.Origin = "", "moved_"+k.ID }},
		{"scope", "a:read", func(k *apikey.Key) { k.Scopes = []string{"a:read"} }},
		{"scopes", "c:write, d:read", func(k *apikey.Key) { k.Scopes = []string{"a:read", "b:read", "c:write", "d:read"} }},
		{"networks", "198.51.100.7", func(k *apikey.Key) { k.Networks = []netip.Prefix{netip.MustParsePrefix("198.51.100.7/32")} }},
		{"networks", "", func(k *apikey.Key) { k.Networks = nil }},
		{"limits", " api=5/1h ", func(k *apikey.Key) { k.Limits = []apikey.Limit{{Name: "api", Requests: 5, Per: time.Hour}} }},
		{"limits", "", func(k *apikey.Key) { k.Limits = nil }},
		{"metadata", "room = 5\r\n\r\n", func(k *apikey.Key) { k.Metadata = map[string]string{"room": "5"} }},
		{"metadata", "", func(k *apikey.Key) { k.Metadata = nil }},
		{"expiry", "never", func(k *apikey.Key) { k.ExpiresAt = time.Time{} }},
	} {
		t.Run(test.field+" "+test.value, func(t *testing.T) {
			key := editedKey(s)
			a := v.edit(key.ID, test.field, test.value)
			require.Equal(t, http.StatusSeeOther, a.StatusCode, a.body)
			assert.Equal(t, "../"+key.ID+"?done=changed", a.Header.Get("Location"))
			got, err := s.store.Get(t.Context(), key.ID)
			require.NoError(t, err)
			want := key.Clone()
			test.want(&want)
			assert.Equal(t, want, got)
			trail, err := s.store.Audit(t.Context(), apikey.AuditOptions{KeyID: key.ID, Limit: 1})
			require.NoError(t, err)
			assert.Equal(t, "ann", trail.Entries[0].Actor)
			assert.Len(t, trail.Entries[0].Changes, 1)
		})
	}
}

func TestEditWithoutAChangeWritesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann, Scopes: []string{"a:read"}})
	key := editedKey(s)
	s.store.fails("Update", apikey.ErrUnavailable)
	a := s.visitor().edit(key.ID)
	assert.Equal(t, http.StatusSeeOther, a.StatusCode)
	assert.Equal(t, "../"+key.ID, a.Header.Get("Location"))
}

// Two administrators open the form. Each changes another field.
func TestEditKeepsTheChangesOfAnotherAdministrator(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	key := editedKey(s)
	v := s.visitor()
	form := v.editValues(key.ID)
	require.Equal(t, http.StatusSeeOther, v.edit(key.ID, "name", "Other job", "networks", "").StatusCode)
	form.Set("owner", "Media team")
	require.Equal(t, http.StatusSeeOther, v.do("POST", "/admin/keys/"+key.ID+"/edit", form.Encode()).StatusCode)
	got, err := s.store.Get(t.Context(), key.ID)
	require.NoError(t, err)
	assert.Equal(t, "Other job", got.Name)
	assert.Equal(t, "Media team", got.Owner)
	assert.Empty(t, got.Networks)
}

func TestUnchangedFormWritesNothing(t *testing.T) {
	t.Parallel()
	networks := []netip.Prefix{netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("192.0.2.1/32")}
	keys := map[string]apikey.NewKey{
		"a plain key":            {Name: "x"},
		"scopes with commas":     {Name: "x", Scopes: []string{"read,admin", "z", ",", "a;b", "<b>&'", "a:read"}},
		"spaces around texts":    {Name: " x\u00a0", Owner: "alice "},
		"an owner of one space":  {Name: "x", Owner: " "},
		"quotes and markup":      {Name: `"<b>&amp;'+`, Owner: "a & b"},
		"networks":               {Name: "x", Networks: networks},
		"limits":                 {Name: "x", Limits: []apikey.Limit{{Name: "-", Requests: 1, Per: 1001 * time.Microsecond, Burst: 2}}},
		"metadata":               {Name: "x", Metadata: map[string]string{"a": "", "b": "x=y", "ü": "<textarea>"}},
		"spaces in metadata":     {Name: "x", Metadata: map[string]string{" a": "b ", "c=d": "e"}},
		"an expiry":              {Name: "x", ExpiresAt: time.Now().Add(time.Hour + 3*time.Microsecond)},
		"an expiry at midnight":  {Name: "x", ExpiresAt: time.Now().Add(9 * day).Truncate(day)},
		"everything at its most": {Name: strings.Repeat("😀", 100), Owner: strings.Repeat("ü", 100), Networks: networks, Metadata: map[string]string{"a": strings.Repeat("v", 4000)}},
	}
	for title, scopes := range map[string]apikey.IssuerOptions{"no catalogue": {}, "a catalogue": {Scopes: []apikey.Scope{{Name: "a:read"}}}} {
		s := newSite(t, Options{Authorize: ann, Scopes: []string{"a:read", "b:read"}})
		made := map[string]apikey.Key{}
		for name, key := range keys {
			made[name] = s.make(key)
		}
		s.limit(scopes)
		v := s.visitor()
		for name, key := range made {
			a := v.edit(key.ID)
			assert.Equal(t, http.StatusSeeOther, a.StatusCode, "%s, %s", name, title)
			assert.Equal(t, "../"+key.ID, a.Header.Get("Location"), "%s, %s", name, title)
			require.Equal(t, http.StatusSeeOther, v.edit(key.ID, "name", "Other").StatusCode, "%s, %s", name, title)
			got, err := s.store.Get(t.Context(), key.ID)
			require.NoError(t, err)
			key.Name = "Other"
			assert.Equal(t, key, got, "%s, %s: only the name changes", name, title)
		}
	}
}

// A field has another value than the form showed, and the administrator has changed it too.
func TestEditRefusesALostUpdate(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	text, scopes, metadata := "Meanwhile", []string{"a:read"}, map[string]string{"room": "9"}
	ends := time.Now().Add(5 * day).Truncate(time.Second).UTC()
	var everywhere []netip.Prefix
	for _, test := range []struct {
		field, input, value, shown string
		meanwhile                  apikey.Patch
	}{
		{"name", "name", "Mine", "value=\"Mine\"", apikey.Patch{Name: &text}},
		{"owner", "owner", "Mine", "value=\"Mine\"", apikey.Patch{Owner: &text}},
		{"scopes", "scopes", "c:list", "value=\"c:list\"", apikey.Patch{Scopes: &scopes}},
		{"networks", "networks", "198.51.100.0/24", ">198.51.100.0/24</textarea>", apikey.Patch{Networks: &everywhere}},
		{"limits", "limits", "api=7/1m", "value=\"api=7/1m\"", apikey.Patch{Limits: &[]apikey.Limit{}}},
		{"metadata", "metadata", "room=5", ">room=5</textarea>", apikey.Patch{Metadata: &metadata}},
		{"expiry", "expiry", "90", "value=\"90\" checked", apikey.Patch{ExpiresAt: &ends}},
	} {
		t.Run(test.field, func(t *testing.T) {
			key := editedKey(s)
			v := s.visitor()
			path := "/admin/keys/" + key.ID + "/edit"
			form := v.editValues(key.ID)
			form.Set(test.input, test.value)
			theirs, err := s.store.Update(t.Context(), key.ID, test.meanwhile)
			require.NoError(t, err)
			a := v.do("POST", path, form.Encode())
			require.Equal(t, http.StatusConflict, a.StatusCode)
			assert.Contains(t, a.body, `id="`+test.field+`-problem">This field has changed since you opened the form.`)
			assert.Contains(t, a.body, test.shown, "the form keeps what was entered")
			got, err := s.store.Get(t.Context(), key.ID)
			require.NoError(t, err)
			assert.Equal(t, theirs, got, "nothing is written")

			again := formValues(a)
			assert.Equal(t, v.editValues(key.ID)["was"], again["was"])
			require.Equal(t, http.StatusSeeOther, v.do("POST", path, again.Encode()).StatusCode)
			trail, err := s.store.Audit(t.Context(), apikey.AuditOptions{KeyID: key.ID, Limit: 1})
			require.NoError(t, err)
			assert.Equal(t, "ann", trail.Entries[0].Actor)
			assert.Len(t, trail.Entries[0].Changes, 1, "only the changed field is written")
		})
	}
}

// The key changes after Edit has read it and before the store writes it.
func TestEditSeesAChangeAtTheLastMoment(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, field  string
		changes      int
		status       int
		owner, shown string
		storedName   string
	}{
		{"of another field", "owner", 1, http.StatusSeeOther, "Mine", "", "Meanwhile 1"},
		{"of the same field", "name", 1, http.StatusConflict, "Operations", "This field has changed since you opened the form.", "Meanwhile 1"},
		{"each time", "owner", 9, http.StatusConflict, "Operations", "Another change of the key came first.", "Meanwhile 3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, Options{Authorize: ann})
			key := editedKey(s)
			v := s.visitor()
			form := v.editValues(key.ID)
			form.Set(test.field, "Mine")
			s.over(&racing{plain{s.store}, test.changes, 0}, apikey.IssuerOptions{})
			a := v.do("POST", "/admin/keys/"+key.ID+"/edit", form.Encode())
			assert.Equal(t, test.status, a.StatusCode, a.body)
			assert.Contains(t, a.body, test.shown)
			got, err := s.store.Get(t.Context(), key.ID)
			require.NoError(t, err)
			assert.Equal(t, test.owner, got.Owner)
			assert.Equal(t, test.storedName, got.Name)
			if test.changes > 1 {
				s.over(s.store, apikey.IssuerOptions{})
				assert.Equal(t, http.StatusSeeOther, v.do("POST", "/admin/keys/"+key.ID+"/edit", hiddenIn(a).Encode()).StatusCode, "the page sends the form again")
			}
		})
	}
}

// A racing store changes the name of a key before each of the first Updates.
type racing struct {
	plain
	changes, done int
}

func (s *racing) If(c apikey.Condition) apikey.KeyManager { return racingView{s.plain.If(c), s} }

type racingView struct {
	apikey.KeyManager
	store *racing
}

func (v racingView) Update(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
	if v.store.done < v.store.changes {
		v.store.done++
		name := fmt.Sprint("Meanwhile ", v.store.done)
		if _, err := v.store.plain.Update(ctx, id, apikey.Patch{Name: &name}); err != nil {
			return apikey.Key{}, err
		}
	}
	return v.KeyManager.Update(ctx, id, p)
}

func TestSameChangeTwiceIsNoConflict(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	key := editedKey(s)
	v := s.visitor()
	form := v.editValues(key.ID)
	form.Set("owner", "Media")
	path := "/admin/keys/" + key.ID + "/edit"
	assert.Equal(t, "../"+key.ID+"?done=changed", v.do("POST", path, form.Encode()).Header.Get("Location"))
	assert.Equal(t, "../"+key.ID, v.do("POST", path, form.Encode()).Header.Get("Location"))
}

func TestEditDoesNotUndoARotation(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	key := editedKey(s)
	v := s.visitor()
	form := v.editValues(key.ID)
	_, _, err := s.issuer.Rotate(t.Context(), key.ID, time.Hour)
	require.NoError(t, err)
	form.Set("expiry", "90")
	assert.Equal(t, http.StatusConflict, v.do("POST", "/admin/keys/"+key.ID+"/edit", form.Encode()).StatusCode)
	got, err := s.store.Get(t.Context(), key.ID)
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now().Add(time.Hour), got.ExpiresAt, time.Minute)
}

func TestEditNeedsEveryField(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	key := editedKey(s)
	v := s.visitor()
	path := "/admin/keys/" + key.ID + "/edit"
	refused := func(what string, form url.Values) {
		form.Set("name", "Other")
		if what == "name" {
			form.Del("name")
		}
		assert.Equal(t, http.StatusBadRequest, v.do("POST", path, form.Encode()).StatusCode, what)
	}
	for _, field := range []string{"name", "owner", "networks", "limits", "metadata", "expiry", "was"} {
		form := v.editValues(key.ID)
		form.Del(field)
		refused(field, form)
	}
	for i := range v.editValues(key.ID)["was"] {
		form := v.editValues(key.ID)
		lost := form["was"][i]
		form["was"] = without(form["was"], []string{lost})
		refused(lost, form)
	}
	got, err := s.store.Get(t.Context(), key.ID)
	require.NoError(t, err)
	assert.Equal(t, key, got)
}

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

func TestRevokedKeyIsNotEdited(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	key := editedKey(s)
	v := s.visitor()
	form := v.editValues(key.ID)
	_, err := s.store.Revoke(t.Context(), key.ID)
	require.NoError(t, err)
	form.Set("name", "Other job")
	path := "/admin/keys/" + key.ID + "/edit"
	for _, a := range []answer{v.get(path), v.do("POST", path, form.Encode())} {
		assert.Equal(t, http.StatusConflict, a.StatusCode)
		assert.Contains(t, a.body, "A revoked key cannot be changed.")
	}
	assert.Equal(t, []string{"Backup job"}, s.keys())
	assert.NotContains(t, v.get("/admin/keys/"+key.ID).body, "/edit")
}

func TestEditReturnsAFormWithAProblem(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	key := editedKey(s)
	v := s.visitor()
	for _, test := range []struct{ name, field, value, problem string }{
		{"no name", "name", "", "name"},
		{"a long owner", "owner", strings.Repeat("x", 101), "owner"},
		{"a scope with a quote", "scopes", `a"b`, "scopes"},
		{"no network", "networks", "192.0.2.0/24, nonsense", "networks"},
		{"host bits set", "networks", "192.0.2.7/24", "networks"},
		{"a zone", "networks", "fe80::1%eth0", "networks"},
		{"no limit", "limits", "nonsense", "limits"},
		{"a limit without a time", "limits", "api=5/", "limits"},
		{"a limit of no requests", "limits", "api=0/1m", "limits"},
		{"a limit twice", "limits", "api=5/1m api=7/1h", "limits"},
		{"nine limits", "limits", "a=1/1s b=1/1s c=1/1s d=1/1s e=1/1s f=1/1s g=1/1s h=1/1s i=1/1s", "limits"},
		{"a mixed network", "networks", "::ffff:0.0.0.0/90", "networks"},
		{"a line without an equals sign", "metadata", "room", "metadata"},
		{"a name twice", "metadata", "a=1\na=2", "metadata"},
		{"too much metadata", "metadata", "a=" + strings.Repeat("x", 4096), "metadata"},
		{"an expiry that is not offered", "expiry", "default", "expiry"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := v.edit(key.ID, test.field, test.value)
			assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
			assert.Contains(t, a.body, `id="`+test.problem+`-problem"`)
			assert.Contains(t, a.body, `name="was"`, "the values with which the form began")
			if test.problem == "networks" || test.problem == "limits" || test.problem == "metadata" {
				assert.Contains(t, a.body, `<details class="field" open>`)
			}
		})
	}
	got, err := s.store.Get(t.Context(), key.ID)
	require.NoError(t, err)
	assert.Equal(t, key, got)
	assert.Contains(t, v.edit(key.ID, "networks", "192.0.2.7/24").body, "Enter “"+isolate("192.0.2.0/24")+"”.")
	assert.Contains(t, html.UnescapeString(v.edit(key.ID, "limits", "api=5").body), `"api=5": want a limit such as api=100/1m`)
}

func TestMetadataThatLinesCannotShowStays(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	metadata := map[string]string{"a=b": "c", " d": " e"}
	key := s.make(apikey.NewKey{Name: "Backup job", Metadata: metadata})
	v := s.visitor()
	assert.Contains(t, v.get("/admin/keys/"+key.ID+"/edit").body, `spellcheck="false" readonly`)
	require.Equal(t, http.StatusSeeOther, v.edit(key.ID, "name", "Other job").StatusCode)
	assert.Equal(t, metadata, s.newest().Metadata)
}

func TestAddTakesNetworksAndMetadata(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	a := s.visitor().post("/admin/add", "name", "Backup job", "expiry", "never", "networks", "192.0.2.0/24\r\n2001:db8::1, 192.0.2.0/24", "metadata", "room=4\r\n")
	require.Equal(t, http.StatusOK, a.StatusCode)
	key := s.newest()
	assert.Equal(t, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128")}, key.Networks)
	assert.Equal(t, map[string]string{"room": "4"}, key.Metadata)
	shown := s.visitor().get("/admin/keys/" + key.ID).body
	assert.Contains(t, shown, `<code class="scope" dir="ltr">2001:db8::1/128</code>`)
	assert.Contains(t, shown, `<bdi class="none">room</bdi> <bdi>4</bdi>`)
}

func TestCatalogueLimitsTheScopes(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann, Scopes: []string{"fallback"}})
	key := editedKey(s)
	s.limit(apikey.IssuerOptions{Scopes: []apikey.Scope{{Name: "a:read", Description: "Read the albums"}, {Name: "c:write"}}})
	v := s.visitor()
	form := v.get("/admin/add").body
	assert.Contains(t, form, `value="a:read"><code dir="ltr">a:read</code> <span class="about">Read the albums</span>`)
	assert.NotContains(t, form, "fallback")
	assert.NotContains(t, form, `name="scopes"`)
	a := v.post("/admin/add", "name", "x", "expiry", "never", "scopes", "c:write nonsense", "confirmed", "nonsense")
	assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
	assert.Contains(t, a.body, "This service has no scope “"+isolate("nonsense")+"”.")
	assert.NotContains(t, a.body, "anyway")
	assert.Equal(t, http.StatusOK, v.post("/admin/add", "name", "x", "expiry", "never", "scope", "c:write").StatusCode)
	assert.Equal(t, []string{"c:write"}, s.newest().Scopes)

	assert.Contains(t, v.get("/admin/keys/"+key.ID+"/edit").body, `value="b:read" checked><code dir="ltr">b:read</code> <span class="about">No longer in the catalogue`)
	assert.Equal(t, http.StatusSeeOther, v.edit(key.ID, "scope", "b:read").StatusCode, "the key keeps a scope outside the catalogue")
	got, err := s.store.Get(t.Context(), key.ID)
	require.NoError(t, err)
	assert.Equal(t, []string{"b:read"}, got.Scopes)
	assert.Equal(t, http.StatusUnprocessableEntity, v.edit(key.ID, "scope", "z").StatusCode)
	s.limit(apikey.IssuerOptions{Scopes: []apikey.Scope{}})
	assert.NotContains(t, v.get("/admin/add").body, `id="scopes"`, "an empty catalogue permits no scope")
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

func TestLoginAndRetryPreserveAnEdit(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	key := editedKey(s)
	v := s.visitor()
	v.login()
	form := v.editValues(key.ID)
	form.Set("name", "Other job")
	form.Set("metadata", "room=5")
	path := "/admin/keys/" + key.ID + "/edit"
	v.do("POST", "/admin/logout", "")
	login := hiddenIn(v.do("POST", path, form.Encode()))
	login.Set("password", testPassword)
	a := v.do("POST", "/admin/login", login.Encode())
	require.Equal(t, http.StatusOK, a.StatusCode)
	assert.Contains(t, a.body, `value="Other job"`)
	assert.Contains(t, a.body, ">room=5</textarea>")
	for _, was := range form["was"] {
		assert.Contains(t, a.body, `name="was" value="`+was+`"`)
	}

	s.store.fails("Update", apikey.ErrUnavailable)
	a = v.do("POST", path, form.Encode())
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	s.store.fails("", nil)
	again := hiddenIn(a)
	assert.Equal(t, http.StatusSeeOther, v.do("POST", path, again.Encode()).StatusCode)
	got := s.newest()
	assert.Equal(t, "Other job", got.Name)
	assert.Equal(t, map[string]string{"room": "5"}, got.Metadata)
	assert.Equal(t, key.Owner, got.Owner)
}
