package leak_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A signer has a key pair of GitHub.
type signer struct {
	identifier string
	key        *ecdsa.PrivateKey
}

func newSigner(t testing.TB, identifier string, curve elliptic.Curve) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return signer{identifier, key}
}

func (s signer) sign(t testing.TB, body string) string {
	t.Helper()
	digest := sha256.Sum256([]byte(body))
	der, err := ecdsa.SignASN1(rand.Reader, s.key, digest[:])
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(der)
}

func (s signer) pem(t testing.TB) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// request returns a signed request with reports.
func (s signer) request(t testing.TB, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("Github-Public-Key-Identifier", s.identifier)
	r.Header.Set("Github-Public-Key-Signature", s.sign(t, body))
	return r
}

// A fakeGitHub answers requests for public keys.
type fakeGitHub struct {
	mu       sync.Mutex
	body     string
	etag     string
	status   int // 0: 200
	err      error
	requests []*http.Request
	wait     chan struct{} // if not nil, requests wait for it or for the end of their context
}

func newFakeGitHub(t testing.TB, signers ...signer) *fakeGitHub {
	g := &fakeGitHub{}
	g.publish(t, signers...)
	return g
}

func (g *fakeGitHub) publish(t testing.TB, signers ...signer) {
	t.Helper()
	type key struct {
		Identifier string `json:"key_identifier"`
		Key        string `json:"key"`
		IsCurrent  bool   `json:"is_current"`
	}
	var list struct {
		PublicKeys []key `json:"public_keys"`
	}
	for _, s := range signers {
		list.PublicKeys = append(list.PublicKeys, key{s.identifier, s.pem(t), true})
	}
	body, err := json.Marshal(list)
	require.NoError(t, err)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.body = string(body)
}

func (g *fakeGitHub) fail(status int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.status, g.err = status, err
}

func (g *fakeGitHub) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.requests)
}

func (g *fakeGitHub) last() *http.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.requests[len(g.requests)-1]
}

// RoundTrip implements http.RoundTripper.
func (g *fakeGitHub) RoundTrip(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	g.requests = append(g.requests, r)
	wait := g.wait
	g.mu.Unlock()
	if wait != nil {
		select {
		case <-wait:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return nil, g.err
	}
	response := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(g.body)), Request: r}
	if g.status != 0 {
		response.StatusCode = g.status
	} else if g.etag != "" {
		response.Header.Set("ETag", g.etag)
		if r.Header.Get("If-None-Match") == g.etag {
			response.StatusCode, response.Body = http.StatusNotModified, http.NoBody
		}
	}
	return response, nil
}
