package leak

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

const (
	maxSecrets    = 4
	minSecret     = 24 // bytes
	maxSecret     = 64 // bytes
	maxMessageID  = 255
	maxSignatures = 16
	tolerance     = 5 * time.Minute
)

// Webhook returns an endpoint for reports of a scanner other than GitHub. scanner is the name of the actor in
// the audit trail: 1 to 200 characters without control characters.
//
// The endpoint verifies each request as Standard Webhooks 1.0 describes. The header webhook-signature
// contains "v1," and the HMAC-SHA256, in base64, of the header webhook-id, a full stop, the header
// webhook-timestamp, a full stop and the body. The timestamp may differ by 5 minutes from the clock of this
// server. A request that is replayed within that time revokes nothing more, because revoking is
// idempotent.
//
// A secret is "whsec_" and 24 to 64 random bytes in base64. There are 1 to 4 secrets. A signature by any of
// them is valid, so that a secret can be replaced without an interruption.
//
// The handler is safe for concurrent use. The error wraps [apikey.ErrInvalid] if d is nil, or if the
// scanner, a secret or an option is out of its limits.
func Webhook(d *manage.Desk, scanner string, secrets []apikey.Secret, o Options) (http.Handler, error) {
	keys, err := webhookKeys(secrets)
	if err != nil {
		return nil, err
	}
	rc, err := newReceiver(d, scanner, o)
	if err != nil {
		return nil, err
	}
	rc.authenticate = func(r *http.Request) (func([]byte) bool, error) {
		id, at := only(r.Header["Webhook-Id"]), only(r.Header["Webhook-Timestamp"])
		signatures := parseSignatures(only(r.Header["Webhook-Signature"]))
		if !validMessageID(id) || !isCurrent(at, time.Now()) || len(signatures) == 0 {
			return nil, errForged
		}
		return func(body []byte) bool { return signed(keys, signatures, id, at, body) }, nil
	}
	return rc, nil
}

// webhookKeys returns the HMAC keys of the secrets, in functions that reflection does not follow.
func webhookKeys(secrets []apikey.Secret) ([]func() []byte, error) {
	if len(secrets) == 0 || len(secrets) > maxSecrets {
		return nil, invalid("secrets", "%d of them; want 1 to %d", len(secrets), maxSecrets)
	}
	var keys []func() []byte
	for i, s := range secrets {
		text, prefixed := strings.CutPrefix(s.Reveal(), "whsec_")
		key, err := base64.StdEncoding.DecodeString(text)
		if !prefixed || err != nil || len(key) < minSecret || len(key) > maxSecret {
			return nil, invalid(fmt.Sprintf("secrets[%d]", i), "want whsec_ and %d to %d bytes in base64", minSecret, maxSecret)
		}
		keys = append(keys, func() []byte { return key })
	}
	return keys, nil
}

// validMessageID reports whether a text can be a webhook-id. A full stop in it would let the same
// signature be valid for another timestamp and body.
func validMessageID(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' || id[i] == '.' {
			return false
		}
	}
	return id != "" && len(id) <= maxMessageID
}

// isCurrent reports whether a webhook-timestamp, in seconds since 1970, is close to now.
func isCurrent(text string, now time.Time) bool {
	if len(text) > 12 || strings.TrimLeft(text, "0123456789") != "" {
		return false
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	return err == nil && time.Unix(seconds, 0).Sub(now).Abs() <= tolerance
}

// parseSignatures returns the signatures of version 1 in a webhook-signature. It ignores others.
func parseSignatures(header string) (all [][]byte) {
	for one := range strings.SplitSeq(header, " ") {
		text, ok := strings.CutPrefix(one, "v1,")
		if !ok || len(text) != base64.StdEncoding.EncodedLen(sha256.Size) {
			continue
		}
		if mac, err := base64.StdEncoding.DecodeString(text); err == nil {
			all = append(all, mac)
		}
		if len(all) == maxSignatures {
			break
		}
	}
	return all
}

// signed reports whether one of the keys made one of the signatures.
func signed(keys []func() []byte, signatures [][]byte, id, at string, body []byte) bool {
	valid := false
	for _, key := range keys {
		mac := hmac.New(sha256.New, key())
		mac.Write([]byte(id + "." + at + "."))
		mac.Write(body)
		sum := mac.Sum(nil)
		for _, signature := range signatures {
			valid = hmac.Equal(sum, signature) || valid
		}
	}
	return valid
}
