package leak_test

import (
	"context"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/leak"
)

const kind = "example_api_key"

func TestGitHubRevokesAReportedKeyAndTellsTheService(t *testing.T) {
	t.Parallel()
	s, gh := newService(t, apikey.FormatOptions{}), newSigner(t, "1", elliptic.P256())
	h := s.endpoint(newFakeGitHub(t, gh))
	token, key := s.issue("Backup job")
	_, other := s.issue("Other")
	body := arrayOf(t, object{"token": token, "type": kind, "url": "https://github.com/o/r/blob/c/f.env", "source": "content"})
	w := serve(h, gh.request(t, body))

	require.Equal(t, 200, w.Code, w.Body)
	assert.True(t, s.isRevoked(key.ID))
	assert.False(t, s.isRevoked(other.ID))
	assert.Equal(t, []string{"create by ", "revoke by " + leak.GitHubActor}, s.history(key.ID))
	require.Len(t, s.reports, 1)
	r := s.reports[0]
	assert.Equal(t, key.ID, r.Key.ID)
	assert.Equal(t, "alice", r.Key.Owner)
	assert.False(t, r.Key.RevokedAt.IsZero(), "the Report has the key after it was revoked")
	assert.Equal(t, leak.Report{Key: r.Key, Reporter: leak.GitHubActor, Type: kind, URL: "https://github.com/o/r/blob/c/f.env", Source: "content"}, r)
	sum := sha256.Sum256([]byte(token))
	assert.JSONEq(t, `[{"token_hash":"`+hex.EncodeToString(sum[:])+`","token_type":"`+kind+`","label":"true_positive"}]`, w.Body.String())
}

// The message and its signature come from GitHub's documentation of 2021.
func TestGitHubVerifiesASignatureThatGitHubMade(t *testing.T) {
	t.Parallel()
	const (
		identifier = "90a421169f0a406205f1563a953312f0be898d3c7b6c06b681aa86a874555f4a"
		publicKey  = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9MJJHnMfn2+H4xL4YaPDA4RpJqUq\n" +
			"kCmRCBnYERxZanmcpzQSXs1X/AljlKkbJ8qpVIW4clayyef9gWhFbNHWAA==\n-----END PUBLIC KEY-----"
		signature = "MEQCIAfgjgz6Ou/3DXMYZBervz1TKCHFsvwMcbuJhNZse622AiAG86/cku2XdcmFWNHl2WSJi2fkE8t+auvB24eURaOd2A=="
		body      = `[{"type":"github_oauth_token","token":"cb4985f91f740272c0234202299f43808034d7f5","url":" https://github.com/github/faketestrepo/blob/b0dd59c0b500650cacd4551ca5989a6194001b10/production.env"}]`
	)
	list, err := json.Marshal(map[string]any{"public_keys": []object{{"key_identifier": identifier, "key": publicKey, "is_current": true}}})
	require.NoError(t, err)
	h := newService(t, apikey.FormatOptions{}).endpoint(&fakeGitHub{body: string(list)})
	send := func(body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("GITHUB-PUBLIC-KEY-IDENTIFIER", identifier)
		r.Header.Set("GITHUB-PUBLIC-KEY-SIGNATURE", signature)
		return serve(h, r)
	}
	w := send(body)
	require.Equal(t, 200, w.Code, w.Body)
	assert.Equal(t, map[string]string{"github_oauth_token": "false_positive"}, labels(t, w))
	assert.Equal(t, 403, send(strings.Replace(body, "cb49", "cb48", 1)).Code)
}

func TestGitHubRefuses(t *testing.T) {
	t.Parallel()
	gh, forger, p384 := newSigner(t, "1", elliptic.P256()), newSigner(t, "1", elliptic.P256()), newSigner(t, "2", elliptic.P384())
	for _, test := range []struct {
		name   string
		status int
		change func(*http.Request)
		by     signer
	}{
		{"a right signature is accepted", 200, func(*http.Request) {}, gh},
		{"a signature by another key", 403, func(*http.Request) {}, forger},
		{"a key of another curve", 403, func(*http.Request) {}, p384},
		{"no identifier", 403, func(r *http.Request) { r.Header.Del("Github-Public-Key-Identifier") }, gh},
		{"no signature", 403, func(r *http.Request) { r.Header.Del("Github-Public-Key-Signature") }, gh},
		{"two signatures", 403, func(r *http.Request) {
			r.Header.Add("Github-Public-Key-Signature", r.Header.Get("Github-Public-Key-Signature"))
		}, gh},
		{"two identifiers", 403, func(r *http.Request) { r.Header.Add("Github-Public-Key-Identifier", "1") }, gh},
		{"an unknown identifier", 403, func(r *http.Request) { r.Header.Set("Github-Public-Key-Identifier", "9") }, gh},
		{"a long identifier", 403, func(r *http.Request) { r.Header.Set("Github-Public-Key-Identifier", strings.Repeat("1", 201)) }, gh},
		{"a signature that is not base64", 403, func(r *http.Request) { r.Header.Set("Github-Public-Key-Signature", "!") }, gh},
		{"an empty signature", 403, func(r *http.Request) { r.Header.Set("Github-Public-Key-Signature", "MAYCAQACAQA=") }, gh},
		{"GET", 405, func(r *http.Request) { r.Method = "GET" }, gh},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, apikey.FormatOptions{})
			token, key := s.issue("Backup job")
			r := test.by.request(t, arrayOf(t, object{"token": token, "type": kind}))
			test.change(r)
			w := serve(s.endpoint(newFakeGitHub(t, gh, p384)), r)
			assert.Equal(t, test.status, w.Code, w.Body)
			assert.Equal(t, test.status == 200, s.isRevoked(key.ID))
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			if test.status != 200 {
				assert.Empty(t, s.reports)
				assert.Zero(t, s.store.lookups.Load())
			}
		})
	}
}

func TestGitHubAnswersABody(t *testing.T) {
	t.Parallel()
	gh := newSigner(t, "1", elliptic.P256())
	many := func(n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(`{"token":"x"},`, n), ",") + "]"
	}
	for _, test := range []struct {
		name, body string
		status     int
	}{
		{"an empty array", `[]`, 200},
		{"an element that is not an object", `[1,"x",null,{"token":"x"}]`, 200},
		{"a token that is not a string", `[{"token":1},{"token":null},{"token":["x"]}]`, 200},
		{"a member of another type", `[{"token":"x","url":{"a":1},"source":3}]`, 200},
		{"unknown members", `[{"token":"x","more":{"a":[1]}}]`, 200},
		{"an object", `{"token":"x"}`, 400},
		{"nothing", ``, 400},
		{"no end", `[{"token":"x"}`, 400},
		{"text after the array", `[] x`, 400},
		{"two arrays", `[][]`, 400},
		{"10,000 reports", many(10_000), 200},
		{"10,001 reports", many(10_001), 413},
		{"more than 4 MiB", `["` + strings.Repeat("x", 4<<20) + `"]`, 413},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, apikey.FormatOptions{})
			w := serve(s.endpoint(newFakeGitHub(t, gh)), gh.request(t, test.body))
			assert.Equal(t, test.status, w.Code)
			assert.True(t, json.Valid(w.Body.Bytes()), w.Body)
			assert.NotContains(t, w.Body.String(), "null")
		})
	}
}

func TestEachKindOfTokenIsRevokedOrCostsNoLookup(t *testing.T) {
	t.Parallel()
	secret := func(c string) apikey.Secret { return apikey.NewSecret(strings.Repeat(c, 32)) }
	gh := newSigner(t, "1", elliptic.P256())
	inner := newService(t, apikey.FormatOptions{}).store.Store
	issue := func(o apikey.FormatOptions) string {
		f, err := apikey.NewFormat("ak", o)
		require.NoError(t, err)
		token, _ := newServiceOf(t, inner, f).issue("x")
		return token
	}
	unpeppered := issue(apikey.FormatOptions{})
	older := issue(apikey.FormatOptions{Peppers: []apikey.Secret{secret("a")}})
	newest := issue(apikey.FormatOptions{Peppers: []apikey.Secret{secret("b"), secret("a")}})
	foreign := issue(apikey.FormatOptions{Peppers: []apikey.Secret{secret("z")}})
	f, err := apikey.NewFormat("ak", apikey.FormatOptions{Peppers: []apikey.Secret{secret("b"), secret("a")}, AllowUnpeppered: true})
	require.NoError(t, err)
	s := newServiceOf(t, inner, f)
	h := s.endpoint(newFakeGitHub(t, gh))
	for _, test := range []struct {
		name, token, label string
		lookups            int64
	}{
		{"a key of the newest pepper", newest, "true_positive", 1},
		{"a key of an older pepper", older, "true_positive", 1},
		{"a key without a pepper", unpeppered, "true_positive", 1},
		{"a key of another pepper", foreign, "false_positive", 0},
		{"a key with a wrong check character", newest[:len(newest)-1] + "!", "false_positive", 0},
		{"a shortened key", newest[1:], "false_positive", 0},
		{"a token of another service", "ghp_cb4985f91f740272c0234202299f43808034", "false_positive", 0},
		{"a token of a megabyte", strings.Repeat("a", 1<<20), "false_positive", 0},
	} {
		s.store.lookups.Store(0)
		w := serve(h, gh.request(t, arrayOf(t, object{"token": test.token, "type": "t"})))
		require.Equal(t, 200, w.Code)
		assert.Equal(t, test.label, labels(t, w)["t"], test.name)
		assert.Equal(t, test.lookups, s.store.lookups.Load(), test.name)
	}
}

func TestAnImportedKeyIsRevoked(t *testing.T) {
	t.Parallel()
	s, gh := newService(t, apikey.FormatOptions{AllowImported: true}), newSigner(t, "1", elliptic.P256())
	const token = "legacy/key+0123456789"
	key, err := s.issuer.Import(context.Background(), apikey.ImportedKey{Name: "Old", Secret: apikey.NewSecret(token)})
	require.NoError(t, err)
	w := serve(s.endpoint(newFakeGitHub(t, gh)), gh.request(t, arrayOf(t, object{"token": token, "type": "t", "url": "https://h/?q=legacy%2Fkey%2B0123456789"})))
	require.Equal(t, 200, w.Code)
	assert.True(t, s.isRevoked(key.ID))
	assert.Equal(t, "REDACTED", s.reports[0].URL, "an escaped imported key cannot be located")
}

func TestConstructorRefuses(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.FormatOptions{})
	for _, test := range []struct {
		field string
		o     leak.Options
	}{
		{"Timeout", leak.Options{Timeout: -1}},
		{"Timeout", leak.Options{Timeout: 301e9}},
		{"PublicKeys.URL", leak.Options{PublicKeys: leak.PublicKeys{URL: "http://github.example/keys"}}},
		{"PublicKeys.URL", leak.Options{PublicKeys: leak.PublicKeys{URL: "/keys"}}},
		{"PublicKeys.URL", leak.Options{PublicKeys: leak.PublicKeys{URL: "https://user@github.example/keys"}}},
	} {
		_, err := leak.GitHub(s.desk, test.o)
		var wrong *apikey.InvalidError
		require.ErrorAs(t, err, &wrong)
		assert.Equal(t, test.field, wrong.Field)
	}
	_, err := leak.GitHub(nil, leak.Options{})
	require.ErrorIs(t, err, apikey.ErrInvalid)
	_, err = leak.GitHub(s.desk, leak.Options{})
	require.NoError(t, err)
}
