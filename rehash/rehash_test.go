package rehash

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// The hashes were computed with hashlib and hmac of Python.
const (
	giteaToken   = "0123456789abcdef0123456789abcdef01234567"
	giteaSalt    = "Xy3AbCdE9z"
	giteaHash    = "e94356577416b0be1092aa83171170ef6afcea3a3f22449e68c9198bfde5aef7e7313132846574ead17df3f4da373f5d463b"
	grafanaToken = "glsa_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef_85196f58"
	grafanaHash  = "fd7c7914bfafc2f371ea59ff8d0e900ca5cedfb0733bf8be47b29c143cf2d324931685f25b97994154fb28977043d78859c3"
	sha512Token  = "Ab3dEf6h.ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"
	sha512Hash   = "sha512$$ea288c70520612d98e84f1f9f901b29eeed831493987503b4a9a3a55236e66cf7fb4a45ec27d408679cdfb194b7bc89b664e5b2043c77e87be5906de79f70c5f"
	pbkdf2Token  = "Zz3dEf6h.ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"
	pbkdf2Hash   = "pbkdf2_sha256$1000$saltsalt$57mI0KNwtbzs/v+UUC0sbgbRGJHNe3f/xsyjmxnsfXc="
	sanctumPlain = "a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2"
	sanctumHash  = "001e010b1366780304f9219b5fbfdc2a71449c45e860449690cc46cfb76fa569"
	strapiHash   = "d81bc28f5e3011b916eb25d04c04657cd852ad4b8fb4a5560bbe5593f7014c555ce629f6f61721fe3f350848b44f0b3e90dceecfe2fb3c0d6bb3913b0d2cbc78"
)

var strapiToken = strings.Repeat("0123456789abcdef", 16)

func strapi() Scheme { return Strapi(apikey.NewSecret("salt-of-strapi")) }

func row(t testing.TB) func(Row, error) Row {
	return func(r Row, err error) Row {
		t.Helper()
		require.NoError(t, err)
		return r
	}
}

// A service accepts keys of other systems.
type service struct {
	t       testing.TB
	store   *memstore.Store
	issuer  *apikey.Issuer
	adopter *Adopter
	keys    *apikey.Middleware
}

func newService(t testing.TB, o Options, peppers ...apikey.Secret) *service {
	t.Helper()
	format, err := apikey.NewFormat("ak", apikey.FormatOptions{AllowImported: true, Peppers: peppers})
	require.NoError(t, err)
	s := &service{t: t, store: memstore.New()}
	s.issuer, err = apikey.NewIssuer(s.store, apikey.IssuerOptions{Format: format})
	require.NoError(t, err)
	s.adopter, err = New(s.store, s.issuer, o)
	require.NoError(t, err)
	s.keys, err = apikey.New(s.store, apikey.Options{Format: format, Adopt: s.adopter.Adopt})
	require.NoError(t, err)
	return s
}

// pend stores a pending key, whose deadline is in 100 hours.
func (s *service) pend(r Row) apikey.Key {
	s.t.Helper()
	key, err := r.Import(s.t.Context(), s.issuer, apikey.ImportedKey{
		Name: "CI", Owner: "ann", Scopes: []string{"read"}, Metadata: map[string]string{"source": "test"},
		CreatedAt: time.Now().Add(-time.Hour), ExpiresAt: time.Now().Add(1000 * time.Hour),
	}, time.Now().Add(100*time.Hour))
	require.NoError(s.t, err)
	return key
}

// request sends a request with a key and returns the status and the ID of the key that the service saw.
func (s *service) request(key string) (int, string) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-API-Key", key)
	w := httptest.NewRecorder()
	s.keys.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k, _ := apikey.FromContext(r.Context())
		w.Write([]byte(k.ID))
	})).ServeHTTP(w, r)
	if w.Code != 200 {
		return w.Code, ""
	}
	return w.Code, w.Body.String()
}

func (s *service) refused(key, why string) {
	s.t.Helper()
	status, _ := s.request(key)
	assert.Equal(s.t, 401, status, why)
}

// The keys of other systems have the shape of Sanctum's too.
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

// counting returns a scheme that counts its hashes. If hold is not nil, each hash waits until hold is closed.
func counting(s Scheme, n *atomic.Int64, hold <-chan struct{}) Scheme {
	verify := s.verify
	s.verify = func(text, hash string) bool {
		n.Add(1)
		if hold != nil {
			<-hold
		}
		return verify(text, hash)
	}
	return s
}

func TestTooManyHashesAreRefusedAndOtherKeysAreNot(t *testing.T) {
	t.Parallel()
	var hashes atomic.Int64
	hold := make(chan struct{})
	s := newService(t, Options{Schemes: []Scheme{counting(Gitea(), &hashes, hold)}, Concurrent: 1})
	s.pend(row(t)(GiteaRow(giteaToken[32:], giteaSalt, giteaHash)))
	secret, native, err := s.issuer.Issue(t.Context(), apikey.NewKey{Name: "Native"})
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		status, _ := s.request(giteaToken)
		assert.Equal(t, 200, status)
	})
	require.Eventually(t, func() bool { return hashes.Load() == 1 }, 10*time.Second, time.Millisecond)
	forged := "ffffffffffffffffffffffffffffffff01234567"
	status, _ := s.request(forged)
	assert.Equal(t, 503, status, "a key with a known finder would need a hash")
	s.refused("ffffffffffffffffffffffffffffffff76543210", "a key without a known finder needs no hash")
	s.refused("another-shape-needs-no-hash", "another shape")
	status, id := s.request(secret.Reveal())
	assert.Equal(t, 200, status)
	assert.Equal(t, native.ID, id)
	assert.EqualValues(t, 1, hashes.Load())
	close(hold)
	wg.Wait()
	s.refused(forged, "when a slot is free again")
}

func TestConcurrentRequestsShareOneHash(t *testing.T) {
	t.Parallel()
	var hashes atomic.Int64
	hold := make(chan struct{})
	s := newService(t, Options{Schemes: []Scheme{counting(Gitea(), &hashes, hold)}, Concurrent: 1})
	s.pend(row(t)(GiteaRow(giteaToken[32:], giteaSalt, giteaHash)))
	ids := make(chan string, 20)
	for range cap(ids) {
		go func() {
			_, id := s.request(giteaToken)
			ids <- id
		}()
	}
	require.Eventually(t, func() bool { return hashes.Load() == 1 }, 10*time.Second, time.Millisecond)
	close(hold)
	first := <-ids
	assert.NotEmpty(t, first)
	for range cap(ids) - 1 {
		assert.Equal(t, first, <-ids)
	}
	assert.EqualValues(t, 1, hashes.Load())
}

func TestAnAdoptionContinuesIfItsRequestIsCancelled(t *testing.T) {
	t.Parallel()
	var hashes atomic.Int64
	hold := make(chan struct{})
	s := newService(t, Options{Schemes: []Scheme{counting(Gitea(), &hashes, hold)}})
	s.pend(row(t)(GiteaRow(giteaToken[32:], giteaSalt, giteaHash)))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := s.adopter.Adopt(ctx, apikey.NewSecret(giteaToken))
		done <- err
	}()
	require.Eventually(t, func() bool { return hashes.Load() == 1 }, 10*time.Second, time.Millisecond)
	cancel()
	assert.ErrorIs(t, <-done, context.Canceled)
	close(hold)
	_, err := s.adopter.Adopt(t.Context(), apikey.NewSecret(giteaToken))
	assert.NoError(t, err)
	assert.EqualValues(t, 1, hashes.Load())
}

// A frozenStore always returns the same keys, as the cache of another node may until its next poll.
type frozenStore struct{ keys map[apikey.Digest]*apikey.Key }

func (s frozenStore) Lookup(_ context.Context, d apikey.Digest) (*apikey.Key, error) {
	if key := s.keys[d]; key != nil {
		return key, nil
	}
	return nil, apikey.ErrNotFound
}

func TestANodeWhoseCacheLagsFindsTheAdoptedKeyWithoutAHash(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		scheme Scheme
		row    Row
		key    string
	}{
		"Gitea":   {Gitea(), row(t)(GiteaRow(giteaToken[32:], giteaSalt, giteaHash)), giteaToken},
		"Grafana": {Grafana(), row(t)(GrafanaRow(grafanaHash)), grafanaToken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, Options{Schemes: []Scheme{test.scheme}})
			pending := s.pend(test.row)
			d, err := s.issuer.Format().DigestSHA256(finderSum(test.row.scheme, test.row.finder))
			require.NoError(t, err)
			_, id := s.request(test.key)
			require.NotEmpty(t, id)

			var hashes atomic.Int64
			scheme := test.scheme
			if scheme.slowFind {
				find := scheme.find
				scheme.find = func(text string) (string, bool) { hashes.Add(1); return find(text) }
			} else {
				scheme = counting(scheme, &hashes, nil)
			}
			other, err := New(frozenStore{map[apikey.Digest]*apikey.Key{d: &pending}}, s.issuer, Options{Schemes: []Scheme{scheme}})
			require.NoError(t, err)
			for range 3 {
				key, err := other.Adopt(t.Context(), apikey.NewSecret(test.key))
				require.NoError(t, err)
				assert.Equal(t, id, key.ID)
			}
			assert.Zero(t, hashes.Load())
		})
	}
}

func TestANodeWhoseCacheLagsObeysAChangeOfThePendingKey(t *testing.T) {
	t.Parallel()
	yes, past, later := true, time.Now().Add(-time.Minute), time.Now().Add(2000*time.Hour).UTC().Truncate(time.Second)
	for name, test := range map[string]struct {
		change apikey.Patch
		want   time.Time // or the zero time if the key is refused
	}{
		"suspended": {change: apikey.Patch{Suspended: &yes}},
		"expired":   {change: apikey.Patch{ExpiresAt: &past}},
		"prolonged": {change: apikey.Patch{ExpiresAt: &later}, want: later},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, Options{Schemes: []Scheme{Gitea()}})
			pending := s.pend(row(t)(GiteaRow(giteaToken[32:], giteaSalt, giteaHash)))
			_, err := s.store.Update(t.Context(), pending.ID, test.change)
			require.NoError(t, err)
			node, err := New(lookupFunc(func() (*apikey.Key, error) { return &pending, nil }), s.issuer, Options{Schemes: []Scheme{Gitea()}})
			require.NoError(t, err)
			key, err := node.Adopt(t.Context(), apikey.NewSecret(giteaToken))
			if test.want.IsZero() {
				require.ErrorIs(t, err, apikey.ErrNotFound)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.want, key.ExpiresAt)
		})
	}
}

func TestNodesAdoptOneKeyAtTheSameTime(t *testing.T) {
	t.Parallel()
	s := newService(t, Options{Schemes: []Scheme{Gitea()}})
	s.pend(row(t)(GiteaRow(giteaToken[32:], giteaSalt, giteaHash)))
	var both sync.WaitGroup
	both.Add(2)
	meet := Gitea()
	verify := meet.verify
	meet.verify = func(text, hash string) bool {
		both.Done()
		both.Wait() // both nodes have found the pending key
		return verify(text, hash)
	}
	ids := make(chan string, 2)
	for range 2 {
		node, err := New(s.store, s.issuer, Options{Schemes: []Scheme{meet}})
		require.NoError(t, err)
		go func() {
			key, err := node.Adopt(t.Context(), apikey.NewSecret(giteaToken))
			if assert.NoError(t, err) {
				ids <- key.ID
			} else {
				ids <- ""
			}
		}()
	}
	assert.Equal(t, <-ids, <-ids)
	page, err := s.store.List(t.Context(), apikey.ListOptions{Status: apikey.StatusActive})
	require.NoError(t, err)
	assert.Len(t, page.Keys, 1)
}

func TestAnOutageIsNotARefusal(t *testing.T) {
	t.Parallel()
	s := newService(t, Options{Schemes: []Scheme{Gitea()}})
	node, err := New(brokenStore{}, s.issuer, Options{Schemes: []Scheme{Gitea()}})
	require.NoError(t, err)
	_, err = node.Adopt(t.Context(), apikey.NewSecret(giteaToken))
	require.Error(t, err)
	assert.NotErrorIs(t, err, apikey.ErrNotFound)
}

type brokenStore struct{}

func (brokenStore) Lookup(context.Context, apikey.Digest) (*apikey.Key, error) {
	return nil, errors.New("no connection")
}

func TestImportAgainAndASecondKeyWithOneFinder(t *testing.T) {
	t.Parallel()
	s := newService(t, Options{Schemes: []Scheme{Gitea()}})
	first := row(t)(GiteaRow(giteaToken[32:], giteaSalt, giteaHash))
	s.pend(first)
	for name, r := range map[string]Row{"again": first, "another key": row(t)(GiteaRow(giteaToken[32:], "other", giteaHash))} {
		_, err := r.Import(t.Context(), s.issuer, apikey.ImportedKey{Name: "x"}, time.Now().Add(time.Hour))
		assert.ErrorIs(t, err, apikey.ErrExists, name)
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	t.Parallel()
	s := newService(t, Options{Schemes: []Scheme{Gitea()}})
	strict, err := apikey.NewIssuer(s.store, apikey.IssuerOptions{})
	require.NoError(t, err)
	for name, f := range map[string]func() error{
		"no store": func() error { _, err := New(nil, s.issuer, Options{Schemes: []Scheme{Gitea()}}); return err },
		"a nil pointer": func() error {
			_, err := New((*memstore.Store)(nil), s.issuer, Options{Schemes: []Scheme{Gitea()}})
			return err
		},
		"no issuer":       func() error { _, err := New(s.store, nil, Options{Schemes: []Scheme{Gitea()}}); return err },
		"no schemes":      func() error { _, err := New(s.store, s.issuer, Options{}); return err },
		"an empty scheme": func() error { _, err := New(s.store, s.issuer, Options{Schemes: []Scheme{{}}}); return err },
		"a scheme twice": func() error {
			_, err := New(s.store, s.issuer, Options{Schemes: []Scheme{Gitea(), Gitea()}})
			return err
		},
		"a format without imported keys": func() error { _, err := New(s.store, strict, Options{Schemes: []Scheme{Gitea()}}); return err },
		"too many hashes": func() error {
			_, err := New(s.store, s.issuer, Options{Schemes: []Scheme{Gitea()}, Concurrent: 65})
			return err
		},
		"a last eight of nine":         func() error { _, err := GiteaRow("012345678", "s", giteaHash); return err },
		"a salt with a space":          func() error { _, err := GiteaRow("01234567", "s s", giteaHash); return err },
		"a short hash":                 func() error { _, err := GiteaRow("01234567", "s", giteaHash[2:]); return err },
		"a Grafana hash in upper case": func() error { _, err := GrafanaRow(strings.ToUpper(grafanaHash)); return err },
		"too many rounds":              func() error { _, err := DjangoRow("a", "pbkdf2_sha256$99999999$s$x"); return err },
		"no rounds":                    func() error { _, err := DjangoRow("a", "pbkdf2_sha256$-1$s$x"); return err },
		"another hasher":               func() error { _, err := DjangoRow("a", "argon2$argon2id$v=19$x"); return err },
		"a Sanctum ID with a bar":      func() error { _, err := SanctumRow("7|", sanctumHash); return err },
		"a Strapi hash that is short":  func() error { _, err := StrapiRow(strapiHash[2:]); return err },
		"an empty row": func() error {
			_, err := Row{}.Import(t.Context(), s.issuer, apikey.ImportedKey{Name: "x"}, time.Now().Add(time.Hour))
			return err
		},
		"a deadline in the past": func() error {
			_, err := row(t)(GrafanaRow(grafanaHash)).Import(t.Context(), s.issuer, apikey.ImportedKey{Name: "x"}, time.Now())
			return err
		},
		"a pending key with the metadata of another": func() error {
			k := apikey.ImportedKey{Name: "x", Metadata: map[string]string{MetadataUntil: "2999-01-01T00:00:00Z"}}
			_, err := row(t)(GrafanaRow(grafanaHash)).Import(t.Context(), s.issuer, k, time.Now().Add(time.Hour))
			return err
		},
		"a pending key with a secret": func() error {
			_, err := row(t)(GrafanaRow(grafanaHash)).Import(t.Context(), s.issuer, apikey.ImportedKey{Name: "x", Secret: apikey.NewSecret(giteaToken)}, time.Now().Add(time.Hour))
			return err
		},
	} {
		assert.ErrorIs(t, f(), apikey.ErrInvalid, name)
	}
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
