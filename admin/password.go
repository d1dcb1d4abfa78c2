package admin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/latchkey-dev/apikey"
)

// The parameters of HashPassword are above the minimum of the OWASP Password Storage Cheat Sheet.
const (
	hashMemory  = 32 * 1024 // KiB
	hashTime    = 3
	hashThreads = 1
	saltLen     = 16
	sumLen      = 32

	minPassword = 8    // characters
	maxPassword = 1024 // bytes
)

// The limits of parsePasswordHash bound the cost of a login, so that a typing error in the
// configuration does not exhaust the machine.
const (
	maxHashString = 256        // bytes
	maxHashMemory = 256 * 1024 // KiB
	maxHashTime   = 16
	maxThreads    = 4 // recommended by RFC 9106 section 4
)

// hashMinima are the argon2id parameters that OWASP recommends. A hash reaches one of them at least.
var hashMinima = [...]struct{ memory, time uint32 }{{47104, 1}, {19456, 2}, {12288, 3}, {9216, 4}, {7168, 5}}

// HashPassword returns the argon2id hash of a password in PHC string format, for
// Options.PasswordHash. Store the hash, as its Reveal returns it, with the configuration.
//
// The password has 8 characters to 1024 bytes of UTF-8. Use 15 characters or more (NIST SP 800-63B
// section 3.1.1), best from a password manager, because an administrator needs nothing else to log in.
// Common passwords such as Passw0rd2026! are refused (section 3.1.1.2). Hashing takes tens of
// milliseconds and 32 MiB. An error wraps [apikey.ErrInvalid].
func HashPassword(p apikey.Secret) (apikey.Secret, error) {
	password := p.Reveal()
	switch {
	case strings.TrimSpace(password) == "":
		return apikey.Secret{}, invalid("password", "empty; there is no default")
	case utf8.RuneCountInString(password) < minPassword:
		return apikey.Secret{}, invalid("password", "want at least %d characters", minPassword)
	case len(password) > maxPassword:
		return apikey.Secret{}, invalid("password", "%d bytes; at most %d", len(password), maxPassword)
	case !utf8.ValidString(password):
		return apikey.Secret{}, invalid("password", "not valid UTF-8")
	case isCommon(password):
		return apikey.Secret{}, invalid("password", "too common; want four or more random words or 15 random characters")
	}
	salt := make([]byte, saltLen)
	rand.Read(salt) // never fails
	sum := argon2.IDKey([]byte(password), salt, hashTime, hashMemory, hashThreads, sumLen)
	return apikey.NewSecret(fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashTime, hashThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))), nil
}

// A passwordHash is a parsed hash.
type passwordHash struct {
	memory, time uint32
	threads      uint8
	salt, sum    []byte
}

// parsePasswordHash reads a PHC string. Its errors do not show the string.
func parsePasswordHash(s string) (passwordHash, error) {
	const want = `want "$argon2id$v=19$m=…,t=…,p=…$SALT$HASH", as HashPassword makes it`
	var p passwordHash
	if len(s) > maxHashString {
		return p, invalid("PasswordHash", "%d bytes; at most %d", len(s), maxHashString)
	}
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v=19" {
		return p, invalid("PasswordHash", "not an argon2id hash: "+want)
	}
	var threads uint32
	parameters := strings.Split(parts[3], ",")
	if len(parameters) != 3 ||
		!parseParameter(parameters[0], "m=", maxHashMemory, &p.memory) ||
		!parseParameter(parameters[1], "t=", maxHashTime, &p.time) ||
		!parseParameter(parameters[2], "p=", maxThreads, &threads) {
		return p, invalid("PasswordHash", "parameters %q: want m to %d, t to %d and p to %d", parts[3], maxHashMemory, maxHashTime, maxThreads)
	}
	p.threads = uint8(threads)
	enough := false
	for _, minimum := range hashMinima {
		enough = enough || p.memory >= minimum.memory && p.time >= minimum.time
	}
	if !enough {
		return p, invalid("PasswordHash", "parameters %q are weaker than OWASP recommends; want m=19456,t=2 or more", parts[3])
	}
	var err error
	if p.salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4]); err != nil || len(p.salt) < 8 || len(p.salt) > 64 {
		return p, invalid("PasswordHash", "salt: want 8 to 64 bytes in base64 without padding")
	}
	if p.sum, err = base64.RawStdEncoding.Strict().DecodeString(parts[5]); err != nil || len(p.sum) < 16 || len(p.sum) > 64 {
		return p, invalid("PasswordHash", "hash: want 16 to 64 bytes in base64 without padding")
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

// matches takes the same time for every password.
func (p passwordHash) matches(password string) bool {
	sum := argon2.IDKey([]byte(password), p.salt, p.time, p.memory, p.threads, uint32(len(p.sum)))
	return subtle.ConstantTimeCompare(sum, p.sum) == 1
}

// maxWaiting is how many logins wait for a hash at once. Others get errBusy.
const maxWaiting = 16

var errBusy = errors.New("admin: too many logins at once")

// passwords checks a few passwords at a time. Hashing takes much memory and time by design, and the
// API beside the dashboard needs both.
type passwords struct {
	matches func(password string) bool
	slots   chan struct{} // holds a value for each hash that is being computed
	queue   chan struct{} // holds a value for each login, waiting or computed
}

// newPasswords lets hashes use half of the processors, at most two. A hash of several threads uses a
// processor for each thread, so it is computed alone if it needs more.
func newPasswords(matches func(string) bool, threads int) *passwords {
	processors := min(2, runtime.GOMAXPROCS(0)/2)
	slots := max(1, processors/threads)
	return &passwords{matches: matches, slots: make(chan struct{}, slots), queue: make(chan struct{}, slots+maxWaiting)}
}

// check reports whether the password is right. The error is errBusy or the error of ctx.
func (p *passwords) check(ctx context.Context, password string) (bool, error) {
	select {
	case p.queue <- struct{}{}:
		defer func() { <-p.queue }()
	default:
		return false, errBusy
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	return p.matches(password), nil
}

// minParts is the number of parts from which a password is not common.
const minParts = 4

// isCommon reports whether a password is one that attackers try first (NIST SP 800-63B section 3.1.1.2).
// Such a password is a repetition or has fewer than four parts. A part is a common word, a run such as
// 1234, qwerty or cba, a repetition such as aaaa or abab, up to four digits, or a single character.
// isCommon ignores case, and reads digits and signs as the letters that they stand for. So "P4ssw0rd2026!"
// has three parts and is common. Eight random characters have eight parts.
func isCommon(password string) bool {
	const maxPart = 32 // of runs and words; isRepeated finds longer repetitions
	text := []rune(strings.ToLower(password))
	if isRepeated(text) {
		return true
	}
	letters := []rune(strings.Map(letterOf, string(text)))
	fewest := make([]int, len(text)+1) // fewest[i] parts make the first i characters
	for i := range text {
		fewest[i+1] = fewest[i] + 1
		for from := max(0, i+1-maxPart); from < i; from++ {
			if fewest[from]+1 < fewest[i+1] && isPart(text[from:i+1], letters[from:i+1]) {
				fewest[i+1] = fewest[from] + 1
			}
		}
	}
	return fewest[len(text)] < minParts
}

// letterOf returns the letter that a digit or a sign stands for.
func letterOf(r rune) rune {
	const signs, meant = "0134578@$!", "oieastbasi"
	if i := strings.IndexRune(signs, r); i >= 0 {
		return rune(meant[i])
	}
	return r
}

func isPart(text, letters []rune) bool {
	if len(text) <= 4 && !slices.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' }) {
		return true
	}
	return len(text) >= 3 && (isRun(text) || isRepeated(text) || slices.Contains(commonWords, string(letters)))
}

// runs are characters that are neighbours in the alphabet, in numbers or on keyboards.
var runs = []string{
	"abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm", "azertyuiop", "qsdfghjklm", "wxcvbn",
	"1qaz2wsx3edc4rfv5tgb6yhn7ujm", "qazwsxedcrfvtgbyhnujm", "1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0", "a1b2c3d4e5f6g7h8i9", "1a2b3c4d5e6f7g8h9i", "!@#$%^&*()", "!\"§$%&/()=",
}

func isRun(text []rune) bool {
	backwards := slices.Clone(text)
	slices.Reverse(backwards)
	return slices.ContainsFunc(runs, func(run string) bool {
		return strings.Contains(run, string(text)) || strings.Contains(run, string(backwards))
	})
}

// isRepeated reports whether a text repeats a unit of one to four characters.
func isRepeated(text []rune) bool {
	for unit := 1; unit <= 4 && 2*unit <= len(text); unit++ {
		if slices.Equal(text[unit:], text[:len(text)-unit]) {
			return true
		}
	}
	return false
}

// commonWords are words from the most used passwords and from services such as this one, after
// letterOf.
var commonWords = strings.Fields(`
	password passwort passwords passwd passphrase pass secret geheim kennwort contrasena motdepasse senha parola
	admin administrator root user guest test tester testing login logon master default temp changeme change letmein welcome willkommen bienvenue access
	server service system internet computer network office company business manager support backup media library plex emby jellyfin home apikey api key keys
	latchkey dashboard security secure private account cloud docker linux windows google apple amazon facebook microsoft samsung oracle
	mysql postgres redis cisco
	iloveyou love lovely hello sunshine princess prince angel baby dragon monkey shadow superman batman spiderman starwars pokemon football soccer baseball
	basketball hockey trustno michael jordan michelle jessica ashley daniel thomas robert charlie andrew joshua matthew jennifer nicole
	hunter killer ninja freedom whatever mustang ferrari mercedes porsche flower summer winter spring autumn sommer herbst january february march april
	june july august september october november december monday tuesday wednesday thursday friday saturday sunday
	cheese chocolate cookie banana orange apples pepper ginger purple silver golden diamond yellow green black white blue red tigger tiger lion eagle
	jesus christ heaven god family mother father sister brother friend london berlin paris america deutschland france
	the and you our for with your this my is new old one two qwe asd zxc`)
