package apikey

import (
	"fmt"
	"io"
	"log/slog"
)

// A Secret is a key or a pepper that cannot be printed by accident. Package fmt, encoders and log
// handlers do not show it, and reflection does not find it. The zero Secret is empty. Secrets
// cannot be compared with ==; compare their digests.
type Secret struct {
	// reveal is a function, which is opaque to reflection. Dumpers and assertion libraries read
	// strings and follow pointers.
	reveal func() string
}

const redacted = "REDACTED"

// NewSecret returns s as a Secret.
func NewSecret(s string) Secret { return Secret{func() string { return s }} }

// Reveal returns the secret as a string. Use it to give a new key to its owner, once.
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

// MarshalText returns "REDACTED", so that JSON, XML and other encodings contain that text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
