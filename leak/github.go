package leak

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"net/http"

	"github.com/latchkey-dev/apikey/manage"
)

// GitHubActor is the actor in the audit trail of a key that GitHub reported.
const GitHubActor = "github secret scanning"

const (
	maxIdentifier = 200 // bytes
	maxSignature  = 200 // bytes of base64; a P-256 signature has at most 96
)

// GitHub returns the endpoint of GitHub's secret scanning partner program. GitHub posts to it the keys that
// it finds in public repositories and packages, and the endpoint revokes them.
//
// The endpoint first verifies the signature of a request: ECDSA with P-256 over the SHA-256 of the body as
// it was sent. It fetches GitHub's public keys as [PublicKeys] describes. If it cannot fetch them, the
// response is 503.
//
// The handler is safe for concurrent use. The error wraps [apikey.ErrInvalid] if d is nil or an option is
// out of its limits.
//
// Source: GitHub Docs, "Secret scanning partner program".
func GitHub(d *manage.Desk, o Options) (http.Handler, error) {
	rc, err := newReceiver(d, GitHubActor, o)
	if err != nil {
		return nil, err
	}
	keys, err := newKeyring(o.PublicKeys, rc.options.Logger)
	if err != nil {
		return nil, err
	}
	rc.authenticate = func(r *http.Request) (func([]byte) bool, error) {
		identifier, signature := only(r.Header["Github-Public-Key-Identifier"]), only(r.Header["Github-Public-Key-Signature"])
		if identifier == "" || len(identifier) > maxIdentifier || signature == "" || len(signature) > maxSignature {
			return nil, errForged
		}
		der, err := base64.StdEncoding.DecodeString(signature)
		if err != nil {
			return nil, errForged
		}
		key, err := keys.find(r.Context(), identifier)
		if err != nil {
			return nil, err
		}
		return func(body []byte) bool {
			digest := sha256.Sum256(body)
			return ecdsa.VerifyASN1(key, digest[:], der)
		}, nil
	}
	return rc, nil
}

// only returns the line of a header field that has exactly one, or "".
func only(lines []string) string {
	if len(lines) != 1 {
		return ""
	}
	return lines[0]
}
