package admin

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/latchkey-dev/apikey"
)

// What HashPassword makes is above the floor of the OWASP Password Storage Cheat Sheet.
const (
	hashMemory  = 32 * 1024 // KiB
	hashTime    = 3
	hashThreads = 1
	saltLen     = 16
	sumLen      = 32

	minPassword = 8    // characters
	maxPassword = 1024 // bytes
)

// The limits of what parsePasswordHash takes. The most is what a login may cost; a hash comes
// from the configuration, where a slip of the finger should not take the machine down.
const (
	maxHashString = 256        // bytes
	maxHashMemory = 256 * 1024 // KiB
	maxHashTime   = 16
	maxThreads    = 8
)

// hashFloor is the least that OWASP recommends for argon2id: any of these, or more.
var hashFloor = [...]struct{ memory, time uint32 }{{47104, 1}, {19456, 2}, {12288, 3}, {9216, 4}, {7168, 5}}

// HashPassword returns the argon2id hash of a password, in PHC string format, for
// Options.PasswordHash. The password is 8 characters to 1024 bytes of UTF-8. As it is all that
// an administrator has to know, take 15 characters or more (NIST SP 800-63B section 3.1.1), best
// out of a password manager. It takes some ten milliseconds and 32 MiB.
func HashPassword(p apikey.Secret) (string, error) {
	password := p.Reveal()
	switch {
	case strings.TrimSpace(password) == "":
		return "", invalid("password: empty; there is no default")
	case utf8.RuneCountInString(password) < minPassword:
		return "", invalid("password: want at least %d characters", minPassword)
	case len(password) > maxPassword:
		return "", invalid("password: %d bytes; at most %d", len(password), maxPassword)
	case !utf8.ValidString(password):
		return "", invalid("password: not valid UTF-8")
	}
	salt := make([]byte, saltLen)
	rand.Read(salt) // which does not fail
	sum := argon2.IDKey([]byte(password), salt, hashTime, hashMemory, hashThreads, sumLen)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashTime, hashThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum)), nil
}

// A passwordHash is a parsed hash.
type passwordHash struct {
	memory, time uint32
	threads      uint8
	salt, sum    []byte
}

// parsePasswordHash reads a PHC string. Its errors do not show it.
func parsePasswordHash(s string) (passwordHash, error) {
	const want = `want "$argon2id$v=19$m=…,t=…,p=…$SALT$HASH", as HashPassword makes it`
	var p passwordHash
	if len(s) > maxHashString {
		return p, invalid("PasswordHash: %d bytes; at most %d", len(s), maxHashString)
	}
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v=19" {
		return p, invalid("PasswordHash: not an argon2id hash: " + want)
	}
	var threads uint32
	parameters := strings.Split(parts[3], ",")
	if len(parameters) != 3 ||
		!parseParameter(parameters[0], "m=", maxHashMemory, &p.memory) ||
		!parseParameter(parameters[1], "t=", maxHashTime, &p.time) ||
		!parseParameter(parameters[2], "p=", maxThreads, &threads) {
		return p, invalid("PasswordHash: parameters %q: want m to %d, t to %d and p to %d", parts[3], maxHashMemory, maxHashTime, maxThreads)
	}
	p.threads = uint8(threads)
	enough := false
	for _, floor := range hashFloor {
		enough = enough || p.memory >= floor.memory && p.time >= floor.time
	}
	if !enough {
		return p, invalid("PasswordHash: parameters %q are weaker than OWASP recommends; want m=19456,t=2 or more", parts[3])
	}
	var err error
	if p.salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4]); err != nil || len(p.salt) < 8 || len(p.salt) > 64 {
		return p, invalid("PasswordHash: the salt: want 8 to 64 bytes in base64 without padding")
	}
	if p.sum, err = base64.RawStdEncoding.Strict().DecodeString(parts[5]); err != nil || len(p.sum) < 16 || len(p.sum) > 64 {
		return p, invalid("PasswordHash: the hash itself: want 16 to 64 bytes in base64 without padding")
	}
	return p, nil
}

func parseParameter(s, name string, most uint32, to *uint32) bool {
	digits, ok := strings.CutPrefix(s, name)
	if !ok || digits == "" || digits[0] < '1' || digits[0] > '9' { // no sign, no leading zero
		return false
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	*to = uint32(n)
	return err == nil && uint32(n) <= most
}

// matches does the same work for every password.
func (p passwordHash) matches(password string) bool {
	sum := argon2.IDKey([]byte(password), p.salt, p.time, p.memory, p.threads, uint32(len(p.sum)))
	return subtle.ConstantTimeCompare(sum, p.sum) == 1
}
