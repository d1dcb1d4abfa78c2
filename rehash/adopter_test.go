package rehash

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// A key of another system can have the shape of Sanctum's keys, too.
func TestTheOrderOfTheSchemesDoesNotMatter(t *testing.T) {
	t.Parallel()
	must := row(t)
	schemes := []Scheme{Sanctum(), Gitea(), Grafana(), Django(), strapi()}
	for range schemes {
		s := newService(t, Options{Schemes: schemes})
		for key, r := range map[string]Row{
			"7|" + sanctumPlain: must(SanctumRow("7", sanctumHash)),
			giteaToken:          must(GiteaRow(giteaToken[32:], giteaSalt, giteaHash)),
			grafanaToken:        must(GrafanaRow(grafanaHash)),
			sha512Token:         must(DjangoRow("Ab3dEf6h", sha512Hash)),
			strapiToken:         must(StrapiRow(strapiHash)),
		} {
			s.pend(r)
			status, _ := s.request(key)
			assert.Equal(t, 200, status, "%s behind %s", r.scheme, schemes[0].name)
		}
		schemes = append(schemes[1:], schemes[0])
	}
}

func TestTheFirstRequestProvesAKeyOfEachScheme(t *testing.T) {
	t.Parallel()
	type test struct {
		scheme Scheme
		row    Row
		key    string
		forged []string
	}
	must := row(t)
	tests := map[string]test{
		"Gitea":           {Gitea(), must(GiteaRow(giteaToken[32:], giteaSalt, giteaHash)), giteaToken, []string{"1123456789abcdef0123456789abcdef01234567", "0123456789abcdef0123456789abcdef01234568", strings.ToUpper(giteaToken)}},
		"Grafana":         {Grafana(), must(GrafanaRow(grafanaHash)), grafanaToken, []string{grafanaToken[:len(grafanaToken)-1] + "9", strings.Replace(grafanaToken, "A", "B", 1)}},
		"Django, SHA-512": {Django(), must(DjangoRow("Ab3dEf6h", sha512Hash)), sha512Token, []string{sha512Token + "a", "Ab3dEf6i" + sha512Token[8:]}},
		"Django, PBKDF2":  {Django(), must(DjangoRow("Zz3dEf6h", pbkdf2Hash)), pbkdf2Token, []string{pbkdf2Token + "a", "Ab3dEf6h" + pbkdf2Token[8:]}},
		"Sanctum":         {Sanctum(), must(SanctumRow("7", sanctumHash)), "7|" + sanctumPlain, []string{"8|" + sanctumPlain, "7|" + sanctumPlain + "a", "7|7|" + sanctumPlain}},
		"Sanctum, no ID":  {Sanctum(), must(SanctumRow("7", sanctumHash)), sanctumPlain, []string{sanctumPlain[1:] + "a"}},
		"Strapi":          {strapi(), must(StrapiRow(strapiHash)), strapiToken, []string{"1" + strapiToken[1:], strapiToken + "0"}},
	}
	for name, test := range tests {
		for pepperName, peppers := range map[string][]apikey.Secret{"no pepper": nil, "a pepper": {apikey.NewSecret(strings.Repeat("p", 32))}} {
			t.Run(name+", "+pepperName, func(t *testing.T) {
				t.Parallel()
				s := newService(t, Options{Schemes: []Scheme{test.scheme}}, peppers...)
				pending := s.pend(test.row)
				until, ok := IsPending(&pending)
				assert.True(t, ok)
				assert.WithinDuration(t, time.Now().Add(100*time.Hour), until, time.Minute)
				assert.True(t, test.row.Matches(test.scheme, apikey.NewSecret(test.key)))
				for _, forged := range test.forged {
					s.refused(forged, "a forged key")
					assert.False(t, test.row.Matches(test.scheme, apikey.NewSecret(forged)))
				}
				status, id := s.request(test.key)
				require.Equal(t, 200, status)
				assert.NotEqual(t, pending.ID, id)
				again, same := s.request(test.key)
				assert.Equal(t, 200, again)
				assert.Equal(t, id, same, "the second request finds the key of the first")

				key, err := s.store.Get(t.Context(), id)
				require.NoError(t, err)
				assert.Equal(t, "CI", key.Name)
				assert.Equal(t, "ann", key.Owner)
				assert.Equal(t, []string{"read"}, key.Scopes)
				assert.Equal(t, map[string]string{"source": "test"}, key.Metadata, "the hash is removed")
				assert.Equal(t, pending.ExpiresAt, key.ExpiresAt)
				assert.Equal(t, pending.CreatedAt, key.CreatedAt)
				_, stillPending := IsPending(&key)
				assert.False(t, stillPending)
				old, err := s.store.Get(t.Context(), pending.ID)
				require.NoError(t, err)
				assert.NotZero(t, old.RevokedAt, "the pending key is revoked")
				_, err = s.store.Revoke(t.Context(), id)
				require.NoError(t, err)
				s.refused(test.key, "a revoked key stays revoked")
			})
		}
	}
}

func TestAPendingKeyThatMayNotBeUsedIsRefused(t *testing.T) {
	t.Parallel()
	yes, no, past := true, false, time.Now().Add(-time.Minute)
	for name, change := range map[string]apikey.Patch{
		"suspended":                     {Suspended: &yes},
		"expired":                       {ExpiresAt: &past},
		"an edited hash":                {Metadata: &map[string]string{MetadataHash: "gitea 01234567 x$" + giteaHash, MetadataUntil: "2999-01-01T00:00:00Z"}},
		"no hash":                       {Metadata: &map[string]string{}},
		"a past deadline":               {Metadata: &map[string]string{MetadataHash: "gitea 01234567 " + giteaSalt + "$" + giteaHash, MetadataUntil: "2001-01-01T00:00:00Z"}},
		"a later deadline":              {Metadata: &map[string]string{MetadataHash: "gitea 01234567 " + giteaSalt + "$" + giteaHash, MetadataUntil: "2999-01-01T00:00:00Z"}},
		"a deadline that is not a time": {Metadata: &map[string]string{MetadataHash: "gitea 01234567 " + giteaSalt + "$" + giteaHash, MetadataUntil: "soon"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, Options{Schemes: []Scheme{Gitea()}})
			key := s.pend(row(t)(GiteaRow(giteaToken[32:], giteaSalt, giteaHash)))
			_, err := s.store.Update(t.Context(), key.ID, change)
			require.NoError(t, err)
			s.refused(giteaToken, name)
			if name == "suspended" {
				_, err := s.store.Update(t.Context(), key.ID, apikey.Patch{Suspended: &no})
				require.NoError(t, err)
				status, _ := s.request(giteaToken)
				assert.Equal(t, 200, status, "after it was resumed")
			}
		})
	}
	t.Run("revoked", func(t *testing.T) {
		t.Parallel()
		s := newService(t, Options{Schemes: []Scheme{Gitea()}})
		_, err := s.store.Revoke(t.Context(), s.pend(row(t)(GiteaRow(giteaToken[32:], giteaSalt, giteaHash))).ID)
		require.NoError(t, err)
		s.refused(giteaToken, "revoked before its first use")
	})
}

func TestTheOwnerOfAPendingKeyCannotTakeItOverByEditingTheHash(t *testing.T) {
	t.Parallel()
	s := newService(t, Options{Schemes: []Scheme{Gitea()}})
	key := s.pend(row(t)(GiteaRow(giteaToken[32:], giteaSalt, giteaHash)))
	mine := "ffffffffffffffffffffffffffffffff01234567" // has the same finder
	metadata := map[string]string{MetadataHash: "gitea 01234567 salt$" + pbkdf2Hex(mine, "salt", rounds, keyLength), MetadataUntil: key.Metadata[MetadataUntil]}
	_, err := s.store.Update(t.Context(), key.ID, apikey.Patch{Metadata: &metadata})
	require.NoError(t, err)
	s.refused(mine, "a key with an edited hash")
}

func TestAfterTheDeadlineAPendingKeyIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, Options{Schemes: []Scheme{Gitea()}})
		other := "ffffffffffffffffffffffffffffffff76543210"
		s.pend(row(t)(GiteaRow(giteaToken[32:], giteaSalt, giteaHash)))
		s.pend(row(t)(GiteaRow(other[32:], "salt", pbkdf2Hex(other, "salt", rounds, keyLength))))
		time.Sleep(100*time.Hour - 2*time.Second)
		status, _ := s.request(giteaToken)
		assert.Equal(t, 200, status)
		time.Sleep(2 * time.Second)
		s.refused(other, "after the deadline")
		status, _ = s.request(giteaToken)
		assert.Equal(t, 200, status, "an adopted key has no deadline")
	})
}

func FuzzAdopt(f *testing.F) {
	for _, key := range []string{giteaToken, grafanaToken, sha512Token, "7|" + sanctumPlain, sanctumPlain, strapiToken} {
		f.Add(key)
	}
	s := newService(f, Options{Schemes: []Scheme{Gitea(), Grafana(), Django(), strapi(), Sanctum()}})
	f.Fuzz(func(t *testing.T, key string) {
		_, err := s.adopter.Adopt(t.Context(), apikey.NewSecret(key))
		assert.ErrorIs(t, err, apikey.ErrNotFound)
	})
}
