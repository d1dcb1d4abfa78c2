package serve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSIGHUPReadsTheRulesAgain(t *testing.T) {
	t.Parallel()
	db, dir := newSQLite(t), t.TempDir()
	secret, _ := issue(t, newIssuer(t, db), "library:read")
	rules := write(t, dir, "rules.yaml", libraryRules)
	p := startServer(t, nil, "--database", db, "--rules", rules).ready(t)
	key := "X-API-Key: " + secret
	require.Equal(t, 200, p.asks(t, "GET", "/library", key).status)
	require.Equal(t, 403, p.asks(t, "GET", "/books", key).status)

	write(t, dir, "rules.yaml", "rules:\n  - match: /books\n    any_key: true\n")
	p.signal(t, syscall.SIGHUP)
	eventually(t, func() bool { return p.asks(t, "GET", "/books", key).status == 200 }, "the new rules do not apply")
	assert.Equal(t, 403, p.asks(t, "GET", "/library", key).status, "the old rules still apply")

	for rule, faulty := range map[string]string{
		"a conflict": "rules:\n  - match: /{a}\n    public: true\n  - match: /{b}\n    public: true\n", "no rules": "", "an unknown field": "rules:\n  - open: /\n",
	} {
		failed := strings.Count(p.log(), "reload failed")
		write(t, dir, "rules.yaml", faulty)
		p.signal(t, syscall.SIGHUP)
		eventually(t, func() bool { return strings.Count(p.log(), "reload failed") > failed }, "the log has no error for "+rule)
		assert.Equal(t, 200, p.asks(t, "GET", "/books", key).status, rule)
		assert.Equal(t, 401, p.asks(t, "GET", "/books").status, rule)
		assert.Equal(t, 403, p.asks(t, "GET", "/library", key).status, rule)
	}
	assert.Contains(t, p.log(), "line 4: pattern")
	metrics := send(t, p.client, "GET", p.metricsURL+"/metrics", "").body
	assert.Contains(t, metrics, `apikey_reloads_total{outcome="done"} 1`)
	assert.Contains(t, metrics, `apikey_reloads_total{outcome="failed"} 3`)

	require.NoError(t, os.Remove(rules))
	p.signal(t, syscall.SIGHUP)
	eventually(t, func() bool { return strings.Contains(p.log(), "no such file") }, "the log has no error for a missing file")
	assert.Equal(t, 200, p.asks(t, "GET", "/books", key).status, "a missing file")
}

// writeCertificate writes a certificate for 127.0.0.1 to cert.pem and key.pem.
func writeCertificate(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	write(t, dir, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, dir, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

func TestSIGHUPReadsTheCertificateAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeCertificate(t, dir, 1)
	p := startServer(t, nil, "--database", newSQLite(t), "--migrate", "--tls-cert", filepath.Join(dir, "cert.pem"), "--tls-key", filepath.Join(dir, "key.pem"))
	require.True(t, strings.HasPrefix(p.url, "https://"), p.url)
	// serial returns the serial number of the certificate in a new connection.
	serial := func() int64 {
		var got int64
		transport := &http.Transport{TLSClientConfig: &tls.Config{
			InsecureSkipVerify: true, // the certificate is new in each run, and only its number matters
			VerifyConnection: func(c tls.ConnectionState) error {
				got = c.PeerCertificates[0].SerialNumber.Int64()
				return nil
			},
		}}
		defer transport.CloseIdleConnections()
		assert.Equal(t, 200, send(t, &http.Client{Transport: transport}, "GET", p.url+"/livez", "").status)
		return got
	}
	assert.EqualValues(t, 1, serial())
	writeCertificate(t, dir, 2)
	p.signal(t, syscall.SIGHUP)
	eventually(t, func() bool { return serial() == 2 }, "the new certificate is not used")
	write(t, dir, "key.pem", "not a key")
	p.signal(t, syscall.SIGHUP)
	eventually(t, func() bool { return strings.Contains(p.log(), "reload failed") }, "the log has no error")
	assert.EqualValues(t, 2, serial())
	_, err := tls.Dial("tcp", strings.TrimPrefix(p.url, "https://"), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11})
	assert.ErrorContains(t, err, "version", "TLS 1.1")
}
