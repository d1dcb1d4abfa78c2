package rehash

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

// The names that this package uses in the Metadata of a pending key.
const (
	MetadataHash  = "rehash"       // the scheme, the finder and the hash
	MetadataUntil = "rehash_until" // the deadline in RFC 3339 format
)

// idPrefix begins the ID of a pending key.
const idPrefix = "rehash_"

// A Row is the hash of one key in the table of another system. Make it with a function such as [GiteaRow],
// whose error wraps an [apikey.InvalidError] if a column does not have the form that the system writes. No
// error contains a hash or a salt.
type Row struct {
	scheme, finder string
	hash           string // "" if the finder is the hash
}

var (
	hexSum     = regexp.MustCompile(`^[0-9a-f]+$`)
	publicText = regexp.MustCompile(`^[0-9A-Za-z_./+=-]{1,100}$`)
)

func invalid(field, format string, args ...any) error {
	return fmt.Errorf("rehash: %w", &apikey.InvalidError{Field: field, Problem: fmt.Sprintf(format, args...)})
}

func checkHex(field, sum string, size int) error {
	if len(sum) != hex.EncodedLen(size) || !hexSum.MatchString(sum) {
		return invalid(field, "want %d characters of lower-case hex", hex.EncodedLen(size))
	}
	return nil
}

func checkPublic(field, text string) error {
	if !publicText.MatchString(text) {
		return invalid(field, "want 1 to 100 characters of A-Z, a-z, 0-9, _ . / + = and -")
	}
	return nil
}

// GiteaRow returns the Row of the columns token_last_eight, token_salt and token_hash.
func GiteaRow(lastEight, salt, hash string) (Row, error) {
	if err := checkHex("lastEight", lastEight, 4); err != nil {
		return Row{}, err
	}
	if err := checkPublic("salt", salt); err != nil {
		return Row{}, err
	}
	return Row{"gitea", lastEight, salt + "$" + hash}, checkHex("hash", hash, keyLength)
}

// GrafanaRow returns the Row of the column key.
func GrafanaRow(key string) (Row, error) {
	return Row{"grafana", key, ""}, checkHex("key", key, keyLength)
}

// DjangoRow returns the Row of the columns prefix and hashed_key.
func DjangoRow(prefix, hashedKey string) (Row, error) {
	if err := checkPublic("prefix", prefix); err != nil {
		return Row{}, err
	}
	row := Row{"django", prefix, hashedKey}
	if sum, ok := strings.CutPrefix(hashedKey, "sha512$$"); ok {
		return row, checkHex("hashedKey", sum, 64)
	}
	_, salt, sum, ok := djangoPBKDF2(hashedKey)
	if !ok || !publicText.MatchString(salt) || !publicText.MatchString(sum) {
		return Row{}, invalid("hashedKey", "want sha512$$HEX, or pbkdf2_sha256$ROUNDS$SALT$BASE64 with at most %d rounds", maxRounds)
	}
	return row, nil
}

// SanctumRow returns the Row of the columns id and token.
func SanctumRow(id, token string) (Row, error) {
	if err := checkPublic("id", id); err != nil {
		return Row{}, err
	}
	return Row{"sanctum", token, id}, checkHex("token", token, sha256.Size)
}

// StrapiRow returns the Row of the column access_key.
func StrapiRow(accessKey string) (Row, error) {
	return Row{"strapi", accessKey, ""}, checkHex("accessKey", accessKey, 64)
}

// Matches reports whether a secret is the key of the Row. It computes a hash, which may be slow.
func (r Row) Matches(s Scheme, secret apikey.Secret) bool {
	if s.name != r.scheme {
		return false
	}
	finder, ok := s.find(secret.Reveal())
	return ok && equal(finder, r.finder) && (s.verify == nil || s.verify(secret.Reveal(), r.hash))
}

// Import stores the pending key of the Row. k has neither a Secret nor a SHA256, and no Metadata under the names
// of this package. until is the deadline, which is in the future. Import returns the errors of
// [apikey.Issuer.Import]. It returns [apikey.ErrExists] also if another key has the same finder. Such a key
// cannot be taken over.
func (r Row) Import(ctx context.Context, issuer *apikey.Issuer, k apikey.ImportedKey, until time.Time) (apikey.Key, error) {
	switch {
	case r.finder == "":
		return apikey.Key{}, invalid("Row", "empty; want one made by a function such as GiteaRow")
	case k.Secret.Reveal() != "" || k.SHA256 != [sha256.Size]byte{}:
		return apikey.Key{}, invalid("Secret, SHA256", "set; a pending key has neither")
	case has(k.Metadata, MetadataHash) || has(k.Metadata, MetadataUntil):
		return apikey.Key{}, invalid("Metadata", "%s and %s are set; want neither", MetadataHash, MetadataUntil)
	case !until.After(time.Now()):
		return apikey.Key{}, invalid("until", "%v: want a time in the future", until)
	}
	k.SHA256 = finderSum(r.scheme, r.finder)
	metadata := map[string]string{MetadataHash: r.text(), MetadataUntil: until.UTC().Format(time.RFC3339)}
	for name, value := range k.Metadata {
		metadata[name] = value
	}
	k.Metadata = metadata
	issuer, err := issuer.With(apikey.Terms{ID: idOf(metadata)})
	if err != nil {
		return apikey.Key{}, err
	}
	return issuer.Import(ctx, k)
}

func has(metadata map[string]string, name string) bool {
	_, found := metadata[name]
	return found
}

func (r Row) text() string { return r.scheme + " " + r.finder + " " + r.hash }

// idOf returns the ID of the pending key with this metadata. An ID never changes, so it reveals whether the
// hash or the deadline was edited. Otherwise a user who may edit a key could take it over, or keep it
// pending. A deadline contains no space, so no other deadline and hash make the same text.
func idOf(metadata map[string]string) string {
	sum := sha256.Sum256([]byte("apikey rehash id " + metadata[MetadataUntil] + " " + metadata[MetadataHash]))
	return idPrefix + base64.RawURLEncoding.EncodeToString(sum[:])
}

// finderSum returns the SHA-256 under which a pending key is imported. No client can send a key with this
// SHA-256, because keys contain no spaces.
func finderSum(scheme, finder string) [sha256.Size]byte {
	return sha256.Sum256([]byte("apikey rehash finder " + scheme + " " + finder))
}

// hashOf returns the hash of a pending key. It returns false if the key has another scheme or finder, or if its
// metadata was edited.
func hashOf(key *apikey.Key, scheme, finder string) (hash string, ok bool) {
	if key.ID != idOf(key.Metadata) {
		return "", false
	}
	return strings.CutPrefix(key.Metadata[MetadataHash], scheme+" "+finder+" ")
}

// IsPending reports whether a key is pending, and returns its deadline, which may have passed. A key that was
// revoked, or whose hash or deadline was edited, is not pending.
func IsPending(key *apikey.Key) (until time.Time, ok bool) {
	until, err := time.Parse(time.RFC3339, key.Metadata[MetadataUntil])
	return until, err == nil && key.RevokedAt.IsZero() && key.ID == idOf(key.Metadata)
}
