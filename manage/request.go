package manage

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/latchkey-dev/apikey"
)

const (
	maxRequestID = 100
	// requestKeyLen is the length of the ID of a key that was made for a request ID. Random IDs have the
	// same length.
	requestKeyLen = 16
)

// keyIDOf returns the ID of the key that a request makes, or "" for a request without an ID. A repeated
// request gets the same key ID, so that the store refuses the second key without a table of requests.
// Requests of other callers, of another operation or for another old key get other IDs.
func (s *Session) keyIDOf(operation, oldID, requestID string) (string, error) {
	if requestID == "" {
		return "", nil
	}
	if len(requestID) > maxRequestID || strings.ContainsFunc(requestID, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", invalid("requestID", "%.40q: want up to %d visible ASCII characters", requestID, maxRequestID)
	}
	request, err := json.Marshal([]any{"apikey request", s.access.AllOwners, s.access.Owner, s.access.Actor, operation, oldID, requestID})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(request)
	most := new(big.Int).Exp(big.NewInt(62), big.NewInt(requestKeyLen), nil)
	text := new(big.Int).Mod(new(big.Int).SetBytes(sum[:]), most).Text(62)
	return strings.Repeat("0", requestKeyLen-len(text)) + text, nil
}

// issued returns the key of an earlier Issue with the same request ID if it is what the caller asks for
// now. Otherwise it returns failure, the error of this Issue.
func (s *Session) issued(ctx context.Context, id string, k apikey.NewKey, failure error) (apikey.Key, error) {
	key, err := s.Get(ctx, id)
	switch {
	case err == nil && isAsked(key, k):
		return key, nil
	case err != nil && !errors.Is(err, apikey.ErrNotFound):
		return apikey.Key{}, err
	case errors.Is(failure, apikey.ErrExists):
		return apikey.Key{}, errOtherRequest
	}
	return apikey.Key{}, failure
}

// isAsked reports whether a key is as the caller of Issue asks.
func isAsked(key apikey.Key, k apikey.NewKey) bool {
	asked := apikey.Key{Name: k.Name, Owner: k.Owner, Scopes: k.Scopes, Networks: k.Networks, Limits: k.Limits, Metadata: k.Metadata, ExpiresAt: k.ExpiresAt}
	asked = asked.Clone()
	return key.Name == asked.Name && key.Owner == asked.Owner && slices.Equal(key.Scopes, asked.Scopes) &&
		slices.Equal(key.Networks, asked.Networks) && slices.Equal(key.Limits, asked.Limits) && maps.Equal(key.Metadata, asked.Metadata) &&
		(asked.ExpiresAt.IsZero() || asked.ExpiresAt.Equal(key.ExpiresAt))
}

// rotated returns the successor of an earlier Rotate with the same request ID. Otherwise it returns
// failure, the error of this Rotate.
func (s *Session) rotated(ctx context.Context, id, oldID string, failure error) (apikey.Key, error) {
	key, err := s.Get(ctx, id)
	switch {
	case err == nil && key.Replaces == oldID:
		return key, nil
	case err != nil && !errors.Is(err, apikey.ErrNotFound):
		return apikey.Key{}, err
	case errors.Is(failure, apikey.ErrExists):
		return apikey.Key{}, errOtherRequest
	}
	return apikey.Key{}, failure
}

// mayBeRepeated reports whether an Issue or a Rotate failed with an error that an earlier call with the same request ID
// can cause. The time, the Access and the old key may have changed since that call.
func mayBeRepeated(err error) bool {
	return slices.ContainsFunc([]error{
		apikey.ErrExists, apikey.ErrReplaced, apikey.ErrRevoked, apikey.ErrSuspended, apikey.ErrExpired, apikey.ErrNotFound, apikey.ErrInvalid, ErrRefused,
	}, func(target error) bool { return errors.Is(err, target) })
}

var errOtherRequest = fmt.Errorf("manage: the request ID was used for another key, or the key has changed since: %w", apikey.ErrExists)
