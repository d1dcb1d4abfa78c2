package apikey

import (
	"errors"
	"fmt"
)

// The reasons for which a [Middleware] refuses a request, each with the status of the response.
// Compare errors with [errors.Is], because [Event], [Middleware.Authenticate] and [Middleware.Verify]
// may wrap a reason.
var (
	// ErrMissing means that the request carries no key. 401.
	ErrMissing = errors.New("apikey: no key in the request")
	// ErrMalformed means that the value cannot be a key. A Middleware refuses it without a lookup.
	// 401.
	ErrMalformed = errors.New("apikey: malformed key")
	// ErrNotFound means that no key has the digest or, for a KeyManager, the ID. 401.
	ErrNotFound = errors.New("apikey: no such key")
	// ErrRevoked means that the key was revoked. 401.
	ErrRevoked = errors.New("apikey: key is revoked")
	// ErrSuspended means that the key is suspended. 401.
	ErrSuspended = errors.New("apikey: key is suspended")
	// ErrExpired means that the key's ExpiresAt has passed. 401.
	ErrExpired = errors.New("apikey: key has expired")
	// ErrAmbiguous means that the request carries keys that differ, or a query that parsers read
	// differently. 400.
	ErrAmbiguous = errors.New("apikey: more than one key in the request")
	// ErrForbidden means that the key is valid, but does not permit this request. 403.
	ErrForbidden = errors.New("apikey: key does not permit this request")
	// ErrLimited means that the request would exceed a [Limit] of the key; see [LimitedError]. 429.
	ErrLimited = errors.New("apikey: a limit of the key is used up")
	// ErrUnavailable means that the store could not answer. 503.
	ErrUnavailable = errors.New("apikey: key store could not answer")
)

// The errors of a [KeyManager] and an [Issuer].
var (
	// ErrExists means that the ID or the digest is taken. Nothing was written.
	ErrExists = errors.New("apikey: key already exists")
	// ErrReplaced means that the key already has a successor; see [ReplacedError].
	ErrReplaced = errors.New("apikey: key was already replaced")
	// ErrTooManyKeys means that the owner would have more living keys than [Condition] permits.
	// Nothing was written.
	ErrTooManyKeys = errors.New("apikey: the owner has too many keys")
	// ErrUncertain means that the store lost the answer to a change. The change may have happened or
	// may still happen. A later change of the same key waits for it and sees its result.
	ErrUncertain = errors.New("apikey: the change may have happened")
	// ErrInvalid means that a value is out of its limits; see [InvalidError].
	ErrInvalid = errors.New("apikey: invalid")
)

// An InvalidError says which value of the caller is out of its limits. errors.Is reports that it is
// [ErrInvalid]. Find it with [errors.As], because every package of this module wraps it to add its
// own name.
type InvalidError struct {
	// Field is the name of an argument or of a struct field, such as "Name" or "Peppers[1]".
	Field string
	// Problem contains the value, shortened if it is long, and the permitted values. It never
	// contains a secret.
	Problem string
}

// Error returns a text with the field and the problem.
func (e *InvalidError) Error() string { return "invalid " + e.Field + ": " + e.Problem }

// Is reports whether target is ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

func invalid(field, format string, args ...any) error {
	return fmt.Errorf("apikey: %w", &InvalidError{field, fmt.Sprintf(format, args...)})
}

// quote quotes a value for an error, and shortens a long one.
func quote[T ~string](s T) string {
	const most = 40
	if len(s) > most {
		return fmt.Sprintf("%q (%d bytes)", s[:most], len(s))
	}
	return fmt.Sprintf("%q", s)
}
