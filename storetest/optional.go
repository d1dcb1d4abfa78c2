package storetest

import (
	"context"

	"github.com/latchkey-dev/apikey"
)

func (s *store) toucher() apikey.Toucher { return optional[apikey.Toucher](s, "a Toucher") }

func (s *store) stamped() apikey.StampedStore {
	return optional[apikey.StampedStore](s, "a StampedStore")
}

func (s *store) feed() apikey.ChangeFeed { return optional[apikey.ChangeFeed](s, "a ChangeFeed") }

func (s *store) finder() apikey.SuccessorFinder {
	return optional[apikey.SuccessorFinder](s, "a SuccessorFinder")
}

func (s *store) auditor() apikey.Auditor { return optional[apikey.Auditor](s, "an Auditor") }

// optional returns the store as a T, or skips the test if it is not one.
func optional[T any](s *store, what string) T {
	s.t.Helper()
	found, ok := apikey.StoreAs[T](s.KeyManager)
	if !ok {
		s.t.Skip("the store is not " + what)
	}
	return found
}

// flush makes the store write the last uses that it has collected.
func (s *store) flush() {
	s.t.Helper()
	type flusher interface{ Flush(context.Context) error }
	if f, ok := apikey.StoreAs[flusher](s.KeyManager); ok {
		if err := f.Flush(s.t.Context()); err != nil {
			s.t.Fatalf("Flush() = %v; want nil", err)
		}
	}
}
