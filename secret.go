package apikey

import (
	"fmt"
	"io"
	"log/slog"
)

// A Secret is a key or a pepper that cannot be printed by accident: no verb of
// fmt, no encoder and no log handler shows it, and no reflection finds it. The
// zero Secret is empty. A Secret cannot be compared with ==; compare digests.
type Secret struct {
	// A function is opaque to reflection, which would follow a pointer (as
	// dumpers and assertion libraries do) and read a string.
	reveal func() string
}

const redacted = "REDACTED"

// NewSecret returns s as a Secret.
func NewSecret(s string) Secret { return Secret{func() string { return s }} }

// Reveal returns the secret itself: to hand a new key to its owner, once.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// String returns "REDACTED".
func (s Secret) String() string { return redacted }

// Format writes "REDACTED" for every verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue returns "REDACTED".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "REDACTED", which JSON, XML and others then show.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
