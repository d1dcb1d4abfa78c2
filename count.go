package apikey

import "context"

// MaxCount is the maximum number of keys that a [Counter] counts.
const MaxCount = 10_000

// A Counter is a KeyManager that counts the keys of a list.
type Counter interface {
	// Count returns the number of keys that the options select. It ignores Sort, Cursor and
	// Limit. [ErrInvalid] as List returns it.
	Count(ctx context.Context, o ListOptions) (Count, error)
}

// A Count is the number of keys in a list, as far as a [Counter] looked.
type Count struct {
	// Keys is the number of keys that were found, at most MaxCount.
	Keys int
	// More reports that there are more keys, or that some keys were not looked at.
	More bool
}
