package manage

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"time"

	"github.com/latchkey-dev/apikey"
)

// Version returns a text that identifies the state of a key: it changes with every change of the key,
// and not with its use. Use it as an entity tag (RFC 9110 section 8.8.3).
func Version(k apikey.Key) string {
	k.LastUsedAt, k.LastUsedAddr = time.Time{}, netip.Addr{}
	text, _ := json.Marshal(k.Clone()) // cannot fail: the times of a key are between 1970 and 9999
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
