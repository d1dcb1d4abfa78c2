package rehash

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash/crc32"
	"regexp"
	"strconv"
	"strings"

	"github.com/latchkey-dev/apikey"
)

// A Scheme is the way in which another system hashes its keys. Make it with Gitea, Grafana, Django,
// Sanctum or Strapi. It is immutable and safe for concurrent use.
type Scheme struct {
	name string
	// find returns the finder of a key, or false if the text does not have the shape of one.
	find func(text string) (finder string, ok bool)
	// slowFind reports that find computes a slow hash if the text has the shape of a key.
	slowFind bool
	// shape reports whether find would return true, without a slow hash. It is set if slowFind is.
	shape func(text string) bool
	// verify reports whether a text has this hash. Nil means that the finder proves the key.
	verify func(text, hash string) bool
}

// The parameters of Gitea, Forgejo, Vikunja and Grafana.
const (
	rounds    = 10_000
	keyLength = 50 // bytes
)

var giteaShape = regexp.MustCompile(`^(tk_)?[0-9a-f]{40}$`)

// Gitea returns the Scheme of access tokens of Gitea, Forgejo and Vikunja: PBKDF2 with HMAC-SHA-256,
// 10,000 rounds and 50 bytes. The finder is the last eight characters.
func Gitea() Scheme {
	return Scheme{
		name: "gitea",
		find: func(text string) (string, bool) {
			if !giteaShape.MatchString(text) {
				return "", false
			}
			return text[len(text)-8:], true
		},
		verify: func(text, hash string) bool {
			salt, sum, _ := strings.Cut(hash, "$")
			return equal(pbkdf2Hex(text, salt, rounds, keyLength), sum)
		},
	}
}

var grafanaShape = regexp.MustCompile(`^glsa_[0-9A-Za-z]{32}_[0-9a-f]{8}$`)

// Grafana returns the Scheme of service account tokens of Grafana: PBKDF2 with HMAC-SHA-256, 10,000
// rounds and 50 bytes, over the secret part with the checksum as salt. The finder is the hash.
func Grafana() Scheme {
	shape := func(text string) bool {
		if !grafanaShape.MatchString(text) {
			return false
		}
		body, check := text[:len(text)-9], text[len(text)-8:]
		sum := crc32.ChecksumIEEE([]byte(body))
		return check == hex.EncodeToString([]byte{byte(sum), byte(sum >> 8), byte(sum >> 16), byte(sum >> 24)})
	}
	return Scheme{
		name: "grafana", slowFind: true, shape: shape,
		find: func(text string) (string, bool) {
			if !shape(text) {
				return "", false
			}
			return pbkdf2Hex(text[5:37], text[38:], rounds, keyLength), true
		},
	}
}

var djangoShape = regexp.MustCompile(`^([0-9A-Za-z]{1,16})\.[0-9A-Za-z]{16,200}$`)

// Django returns the Scheme of djangorestframework-api-key: "sha512$$HEX", and Django's
// "pbkdf2_sha256$ROUNDS$SALT$BASE64". The finder is the prefix.
func Django() Scheme {
	return Scheme{
		name: "django",
		find: func(text string) (string, bool) {
			m := djangoShape.FindStringSubmatch(text)
			if m == nil {
				return "", false
			}
			return m[1], true
		},
		verify: func(text, hash string) bool {
			if sum, ok := strings.CutPrefix(hash, "sha512$$"); ok {
				own := sha512.Sum512([]byte(text))
				return equal(hex.EncodeToString(own[:]), sum)
			}
			rounds, salt, sum, ok := djangoPBKDF2(hash)
			if !ok {
				return false
			}
			key, err := pbkdf2.Key(sha256.New, text, []byte(salt), rounds, sha256.Size)
			return err == nil && equal(base64.StdEncoding.EncodeToString(key), sum)
		},
	}
}

// maxRounds bounds the time of one hash. Django 6 uses 1,200,000 rounds.
const maxRounds = 2_000_000

func djangoPBKDF2(hash string) (rounds int, salt, sum string, ok bool) {
	parts := strings.Split(hash, "$")
	if len(parts) != 4 || parts[0] != "pbkdf2_sha256" || parts[2] == "" || parts[3] == "" {
		return 0, "", "", false
	}
	rounds, err := strconv.Atoi(parts[1])
	return rounds, parts[2], parts[3], err == nil && 1 <= rounds && rounds <= maxRounds
}

var sanctumShape = regexp.MustCompile(`^(?:([0-9]{1,20})\|)?([!-{}~]{40,200})$`)

// Sanctum returns the Scheme of Laravel Sanctum: SHA-256 of the part after "ID|". Clients send "ID|TOKEN"
// or TOKEN alone. The key is adopted in the form that arrives first, and the other form is refused then.
// The finder is the hash.
func Sanctum() Scheme {
	return Scheme{
		name: "sanctum",
		find: func(text string) (string, bool) {
			m := sanctumShape.FindStringSubmatch(text)
			if m == nil {
				return "", false
			}
			sum := sha256.Sum256([]byte(m[2]))
			return hex.EncodeToString(sum[:]), true
		},
		verify: func(text, hash string) bool {
			id := sanctumShape.FindStringSubmatch(text)[1]
			return id == "" || equal(id, hash)
		},
	}
}

var strapiShape = regexp.MustCompile(`^[0-9a-f]{256}$`)

// Strapi returns the Scheme of API tokens of Strapi: HMAC-SHA-512 with the secret admin.apiToken.salt. The
// finder is the hash.
func Strapi(salt apikey.Secret) Scheme {
	return Scheme{
		name: "strapi",
		find: func(text string) (string, bool) {
			if !strapiShape.MatchString(text) {
				return "", false
			}
			mac := hmac.New(sha512.New, []byte(salt.Reveal()))
			mac.Write([]byte(text))
			return hex.EncodeToString(mac.Sum(nil)), true
		},
	}
}

func pbkdf2Hex(text, salt string, rounds, length int) string {
	key, err := pbkdf2.Key(sha256.New, text, []byte(salt), rounds, length)
	if err != nil {
		return "" // FIPS 140 mode refuses short salts; equal refuses the empty text
	}
	return hex.EncodeToString(key)
}

// equal compares two hashes in constant time. Empty hashes are unequal.
func equal(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
