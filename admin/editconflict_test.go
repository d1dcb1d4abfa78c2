package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

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
