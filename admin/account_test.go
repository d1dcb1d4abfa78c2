package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// accountOf returns the account in the forms of an owner.
func accountOf(owner string) string {
	sum := sha256.Sum256([]byte(owner))
	return hex.EncodeToString(sum[:16])
}

func TestFormOfAnotherAccountChangesNothing(t *testing.T) {
	t.Parallel()
	for name, account := range map[string]string{"another owner's": accountOf("bob"), "an administrator's": ""} {
		for _, rt := range routes() {
			if !rt.changes || !strings.HasPrefix(rt.pattern, "POST ") {
				continue
			}
			t.Run(name+" "+rt.pattern, func(t *testing.T) {
				t.Parallel()
				s := newShop(t)
				path := strings.ReplaceAll(strings.TrimPrefix(rt.pattern, "POST "), "{id}", s.alices.ID)
				before := s.keys()
				form := "account=" + account + "&nonce=" + strings.Repeat("n", nonceLen) + "&name=New&expiry=30&grace=1h&confirm=alice&owner=alice&id=" + s.alices.ID
				a := s.as("owner").do("POST", "/admin"+path, form)
				assert.Equal(t, http.StatusConflict, a.StatusCode)
				assert.Contains(t, a.body, "This form was opened for another account. Nothing was changed.")
				assert.Equal(t, before, s.keys())
			})
		}
	}
	t.Run("an owner's form in the session of an administrator", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		v := s.as("administrator")
		v.account = accountOf("alice")
		assert.Equal(t, http.StatusConflict, v.do("POST", "/admin/keys/"+s.alices.ID+"/revoke", "").StatusCode)
	})
	t.Run("every form that changes keys names the account", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		v := s.as("owner")
		for _, path := range []string{"add", "revoke?id=" + s.alices.ID, "revoke-owner?owner=alice", "keys/" + s.alices.ID + "/edit",
			"keys/" + s.alices.ID + "/rotate", "keys/" + s.alices.ID + "/suspend", "keys/" + s.alices.ID + "/resume", "keys/" + s.alices.ID + "/revoke"} {
			assert.Contains(t, v.get("/admin/"+path).body, `name="account" value="`+accountOf("alice")+`"`, path)
		}
	})
}
