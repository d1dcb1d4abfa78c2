package admin

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestPasswordMatchesOnlyItsHash(t *testing.T) {
	t.Parallel()
	hash, err := parsePasswordHash(testHash().Reveal())
	require.NoError(t, err)
	assert.True(t, hash.matches(testPassword))
	for _, other := range []string{"", testPassword + " ", testPassword[1:], strings.ToUpper(testPassword)} {
		assert.False(t, hash.matches(other), other)
	}
	again, err := HashPassword(apikey.NewSecret(testPassword))
	require.NoError(t, err)
	assert.NotEqual(t, testHash().Reveal(), again.Reveal(), "the salt is random")
}

func TestHashPasswordRefusesInvalidPasswords(t *testing.T) {
	t.Parallel()
	for name, password := range map[string]string{
		"empty": "", "spaces": "          ", "short": "1234567", "long": strings.Repeat("x", maxPassword+1), "not UTF-8": "correct\xff horse",
	} {
		_, err := HashPassword(apikey.NewSecret(password))
		assert.ErrorIs(t, err, apikey.ErrInvalid, name)
	}
}

func TestCommonPasswordsAreRefused(t *testing.T) {
	t.Parallel()
	for _, password := range []string{
		"password", "Password1", "PASSWORD123!", "P@ssw0rd", "p455w0rd2026", "passwordpassword", "12345678", "1234567890", "87654321", "11111111", "12341234",
		"qwertyui", "qwertzui", "azertyuiop", "asdfghjkl", "1qaz2wsx", "1q2w3e4r", "qwerty123", "abcdefgh", "abcd1234", "aaaaaaaa", "abababab", "abcabcabc",
		"a1b2c3d4", "iloveyou", "letmein1", "welcome1", "trustno1", "administrator", "admin123", "Admin2026!", "adminadmin", "root1234", "changeme", "Summer2026!",
		"mediaserver", "emby2026", "apikey123", "31121990", "19901990", "admin31121990", "00000000", "!@#$%^&*", "jellyfin1", strings.Repeat("a", 1024),
		strings.Repeat("ab", 100) + "a",
	} {
		_, err := HashPassword(apikey.NewSecret(password))
		assert.ErrorIs(t, err, apikey.ErrInvalid, password)
	}
	for _, password := range []string{
		testPassword, "x7Qd9LmZ", "another password", "kV3!pm0z", "violet tractor 9 moss", "tr0ub4dor&3", "пароль на час", strings.Repeat("x7Qd9LmZ", 128),
	} {
		assert.False(t, isCommon(password), password)
	}
}

func TestInvalidPasswordHashesAreRefused(t *testing.T) {
	t.Parallel()
	const tail = "$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg"
	for name, hash := range map[string]string{
		"another algorithm":           "$argon2i$v=19$m=32768,t=3,p=1" + tail,
		"bcrypt":                      "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
		"another version":             "$argon2id$v=16$m=32768,t=3,p=1" + tail,
		"weaker than OWASP":           "$argon2id$v=19$m=19455,t=2,p=1" + tail,
		"one pass over little memory": "$argon2id$v=19$m=32768,t=1,p=1" + tail,
		"too much memory":             "$argon2id$v=19$m=999999999,t=3,p=1" + tail,
		"too many rounds":             "$argon2id$v=19$m=32768,t=4294967295,p=1" + tail,
		"too many threads":            "$argon2id$v=19$m=32768,t=3,p=5" + tail,
		"no threads":                  "$argon2id$v=19$m=32768,t=3,p=0" + tail,
		"a number that overflows":     "$argon2id$v=19$m=4295000064,t=3,p=1" + tail,
		"a sign":                      "$argon2id$v=19$m=+32768,t=3,p=1" + tail,
		"parameters missing":          "$argon2id$v=19$m=32768,t=3" + tail,
		"a short salt":                "$argon2id$v=19$m=32768,t=3,p=1$c2FsdA$MDEyMzQ1Njc4OWFiY2RlZg",
		"a short hash":                "$argon2id$v=19$m=32768,t=3,p=1$c2FsdHNhbHQ$MDEy",
		"a long hash":                 "$argon2id$v=19$m=32768,t=3,p=1$c2FsdHNhbHQ$" + strings.Repeat("A", 400),
		"padding":                     "$argon2id$v=19$m=32768,t=3,p=1$c2FsdHNhbHQ=$MDEyMzQ1Njc4OWFiY2RlZg",
		"trailing text":               "$argon2id$v=19$m=32768,t=3,p=1" + tail + "$x",
	} {
		_, err := parsePasswordHash(hash)
		assert.ErrorIs(t, err, apikey.ErrInvalid, name)
	}
	for name, hash := range map[string]string{
		"OWASP's first": "$argon2id$v=19$m=47104,t=1,p=1" + tail, "OWASP's second": "$argon2id$v=19$m=19456,t=2,p=1" + tail, "OWASP's last": "$argon2id$v=19$m=7168,t=5,p=1" + tail,
	} {
		_, err := parsePasswordHash(hash)
		assert.NoError(t, err, name)
	}
}

func TestHashOfSeveralThreadsIsComputedAlone(t *testing.T) {
	t.Parallel()
	for threads := 2; threads <= maxThreads; threads++ {
		assert.Equal(t, 1, cap(newPasswords(func(string) bool { return false }, threads).slots), "%d threads", threads)
	}
}

func FuzzPasswordHash(f *testing.F) {
	f.Add(testHash().Reveal())
	f.Add("$argon2id$v=19$m=7168,t=5,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePasswordHash(s)
		if err != nil {
			return
		}
		if p.memory > maxHashMemory || p.time > maxHashTime || p.threads < 1 || p.threads > maxThreads || len(p.sum) < 16 || len(p.salt) < 8 {
			t.Errorf("%q: %+v is out of bounds", s, p)
		}
	})
}
