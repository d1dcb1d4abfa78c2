package admin

import (
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
	assert.Contains(t, v.edit(key.ID, "limits", "api=5").body, "“"+isolate("api=5")+"” is not a limit. Enter limits such as “api=100/1m”")
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
