package admin

import (
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

func TestRotateGivesTheOldKeyItsGrace(t *testing.T) {
	t.Parallel()
	for grace, want := range map[string]time.Duration{"0": 0, "1h": time.Hour, "24h": 24 * time.Hour, "168h": 7 * 24 * time.Hour} {
		s := newSite(t, Options{})
		_, key := s.issue("Backup job")
		v := s.visitor()
		v.login()
		a := v.post("/admin/keys/"+key.ID+"/rotate", "grace", grace)
		require.Equal(t, http.StatusOK, a.StatusCode)
		assert.Regexp(t, regexpKey, a.body)
		old, err := s.store.Get(t.Context(), key.ID)
		require.NoError(t, err)
		if want == 0 {
			assert.NotZero(t, old.RevokedAt)
		} else {
			assert.WithinDuration(t, time.Now().Add(want), old.ExpiresAt, time.Minute)
		}
		assert.Equal(t, []string{"Backup job", "Backup job"}, s.keys())
	}
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	v.login()
	a := v.post("/admin/keys/"+key.ID+"/rotate", "grace", "1000h")
	assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
	assert.Len(t, s.keys(), 1)
}

func TestRotateFormSaysWhenTheSuccessorExpires(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	v := s.visitor()
	key := s.make(apikey.NewKey{Name: "Backup job", ExpiresAt: time.Now().Add(30 * 24 * time.Hour)})
	assert.Regexp(t, `The new key will expire on \x{2068}\d{4}-\d\d-\d\d \d\d:\d\d UTC\x{2069}\.`, v.get("/admin/keys/"+key.ID+"/rotate").body)
	key = s.make(apikey.NewKey{Name: "Backup job"})
	assert.Contains(t, v.get("/admin/keys/"+key.ID+"/rotate").body, "The new key will not expire.")
}

func TestRotateFormShowsTheExpiryThatTheAccessPermits(t *testing.T) {
	t.Parallel()
	limit := 30 * day
	s := newSite(t, Options{Authorize: func(*http.Request) (manage.Access, error) {
		return manage.Access{Actor: "ann", AllOwners: true, AnyScope: true, MaxLifetime: limit}, nil
	}})
	v := s.visitor()
	for name, expiresAt := range map[string]time.Time{"a key that does not expire": {}, "a key that lives longer": time.Now().Add(90 * day)} {
		key := s.make(apikey.NewKey{Name: "Backup job", ExpiresAt: expiresAt})
		path := "/admin/keys/" + key.ID + "/rotate"
		shown := regexp.MustCompile(`The new key will expire on \x{2068}(.*?)\x{2069}\.`).FindStringSubmatch(v.get(path).body)
		require.NotNil(t, shown, name)
		at, err := time.Parse("2006-01-02 15:04 MST", shown[1])
		require.NoError(t, err, name)
		require.Equal(t, http.StatusOK, v.post(path, "grace", "24h").StatusCode, name)
		assert.WithinDuration(t, s.newest().ExpiresAt, at, 2*time.Minute, name)
		_, err = s.store.Revoke(t.Context(), s.newest().ID)
		require.NoError(t, err)
		assert.Contains(t, v.get(path).body, "that this key had at first, but will expire on ", name)
	}
}

// A second successor would inherit the lifetime of the grace.
func TestRotateWorksOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	v.login()
	before := v.get("/admin/keys/" + key.ID + "/rotate").nonce()
	require.Equal(t, http.StatusOK, v.post("/admin/keys/"+key.ID+"/rotate", "grace", "24h").StatusCode)
	a := v.do("POST", "/admin/keys/"+key.ID+"/rotate", url.Values{"nonce": {before}, "grace": {"24h"}}.Encode())
	assert.Equal(t, http.StatusConflict, a.StatusCode)
	assert.Contains(t, a.body, "already rotated")
	successor := s.newest().ID
	assert.Contains(t, a.body, `href="../../keys/`+successor+`"`)
	page := v.get("/admin/keys/" + key.ID).body
	assert.NotContains(t, page, `href="../keys/`+key.ID+`/rotate"`)
	assert.Contains(t, page, `href="../keys/`+successor+`"`)
	assert.Len(t, s.keys(), 2)
}

// The first rotation is still running when the others arrive.
func TestParallelRotationsMakeOneSuccessor(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	v.login()
	path := "/admin/keys/" + key.ID + "/rotate"
	forms := [8]string{}
	for i := range forms {
		forms[i] = url.Values{"nonce": {v.get(path).nonce()}, "grace": {"24h"}}.Encode()
	}
	entered, leave := make(chan struct{}), make(chan struct{})
	s.store.gate("Replace", entered, leave)
	statuses := make(chan int, len(forms))
	go func() { statuses <- v.do("POST", path, forms[0]).StatusCode }()
	<-entered
	for _, form := range forms[1:] {
		go func() { statuses <- v.do("POST", path, form).StatusCode }()
	}
	count := map[int]int{}
	for range forms[1:] {
		count[<-statuses]++
	}
	close(leave)
	count[<-statuses]++
	assert.Equal(t, map[int]int{http.StatusOK: 1, http.StatusConflict: len(forms) - 1}, count)
	assert.Len(t, s.keys(), 2)
}
