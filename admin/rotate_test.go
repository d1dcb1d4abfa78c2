package admin

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestARotationGivesTheOldKeyItsGrace(t *testing.T) {
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
		assert.WithinDuration(t, time.Now().Add(want), old.ExpiresAt, time.Minute)
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

// Its second successor would live no longer than the grace of the first.
func TestAKeyIsRotatedOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	v.login()
	before := v.get("/admin/keys/" + key.ID + "/rotate").token()
	require.Equal(t, http.StatusOK, v.post("/admin/keys/"+key.ID+"/rotate", "grace", "24h").StatusCode)
	a := v.do("POST", "/admin/keys/"+key.ID+"/rotate", url.Values{"token": {before}, "grace": {"24h"}}.Encode())
	assert.Equal(t, http.StatusConflict, a.StatusCode)
	assert.Contains(t, a.body, "rotated already")
	successor := s.newest().ID
	assert.Contains(t, a.body, `href="../../keys/`+successor+`"`)
	page := v.get("/admin/keys/" + key.ID).body
	assert.NotContains(t, page, `href="../keys/`+key.ID+`/rotate"`)
	assert.Contains(t, page, `href="../keys/`+successor+`"`)
	assert.Len(t, s.keys(), 2)
}

// The rotation of another tab may be under way: nobody has written of it yet.
func TestTabsMakeOneSuccessor(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	v.login()
	path := "/admin/keys/" + key.ID + "/rotate"
	forms := [8]string{}
	for i := range forms {
		forms[i] = url.Values{"token": {v.get(path).token()}, "grace": {"24h"}}.Encode()
	}
	entered, leave := make(chan struct{}), make(chan struct{})
	s.store.gate("Replace", entered, leave)
	statuses := make(chan int, len(forms))
	go func() { statuses <- v.do("POST", path, forms[0]).StatusCode }()
	<-entered
	for _, form := range forms[1:] {
		go func() { statuses <- v.do("POST", path, form).StatusCode }()
	}
	once := s.handler.once
	arrived := func() bool { once.mu.Lock(); defer once.mu.Unlock(); return len(once.order) == len(forms) }
	assert.Eventually(t, arrived, 10*time.Second, time.Millisecond)
	close(leave)
	count := map[int]int{}
	for range forms {
		count[<-statuses]++
	}
	assert.Equal(t, map[int]int{http.StatusOK: 1, http.StatusConflict: len(forms) - 1}, count)
	assert.Len(t, s.keys(), 2)
}

func TestASuccessorIsFoundBehindALongHistory(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	v.login()
	require.Equal(t, http.StatusOK, v.post("/admin/keys/"+key.ID+"/rotate", "grace", "24h").StatusCode)
	for range historySize {
		s.store.note(t.Context(), "update", key.ID, "name")
	}
	assert.Contains(t, v.get("/admin/keys/"+key.ID).body, `href="../keys/`+s.newest().ID+`"`)
}

func TestHeirs(t *testing.T) {
	t.Parallel()
	for detail, want := range map[string]heir{
		"by abc": {true, "abc"}, "": {Exists: true}, "by a/b": {Exists: true}, "abc": {Exists: true},
	} {
		assert.Equal(t, want, heirIn([]apikey.AuditEntry{{Action: "update"}, {Action: "replace", Detail: detail}, {Action: "create"}}), detail)
	}
	assert.Equal(t, heir{}, heirIn([]apikey.AuditEntry{{Action: "create", Detail: "by abc"}}))
}

func TestANewKeySaysWhenItExpires(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	a := v.post("/admin/add", "name", "Backup job", "expiry", "30")
	exact := s.newest().ExpiresAt.Format("2006-01-02 15:04 MST")
	assert.Contains(t, a.body, exact)
	a = v.post("/admin/keys/"+s.newest().ID+"/rotate", "grace", "1h")
	assert.Contains(t, a.body, s.newest().ExpiresAt.Format("2006-01-02 15:04 MST"))
	assert.Contains(t, v.post("/admin/add", "name", "Backup job", "expiry", "never").body, "Expires:</span> Never")
}

// Where there is no history a second rotation cannot be told, so it is warned of.
func TestWithoutAHistoryARotationWarns(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	require.Equal(t, http.StatusOK, v.post("/admin/add", "name", "Backup job", "expiry", "30").StatusCode)
	path := "/admin/keys/" + s.newest().ID + "/rotate"
	assert.NotContains(t, v.get(path).body, "keeps no history")
	s.handler.audit = nil
	assert.Contains(t, v.get(path).body, "keeps no history")
	_, lasting := s.issue("without an end")
	assert.NotContains(t, v.get("/admin/keys/"+lasting.ID+"/rotate").body, "keeps no history", "it was never rotated")
}
