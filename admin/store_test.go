package admin

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// An auditedStore is a memstore that keeps a history.
type auditedStore struct {
	*memstore.Store
	mu      sync.Mutex
	entries []apikey.AuditEntry
	gates   map[string]func() // what the next call of a method waits for
	errs    map[string]error  // what methods return
}

func (s *auditedStore) fails(method string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = map[string]error{method: err}
}

// gate makes the next call of a method wait: it closes entered, and goes on when leave is closed.
func (s *auditedStore) gate(method string, entered, leave chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gates = map[string]func(){method: func() { close(entered); <-leave }}
}

func (s *auditedStore) pass(method string) error {
	s.mu.Lock()
	wait, err := s.gates[method], s.errs[method]
	delete(s.gates, method)
	s.mu.Unlock()
	if wait != nil {
		wait()
	}
	return err
}

func (s *auditedStore) List(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
	if err := s.pass("List"); err != nil {
		return apikey.Page{}, err
	}
	return s.Store.List(ctx, o)
}

func (s *auditedStore) Get(ctx context.Context, id string) (apikey.Key, error) {
	if err := s.pass("Get"); err != nil {
		return apikey.Key{}, err
	}
	return s.Store.Get(ctx, id)
}

func (s *auditedStore) note(ctx context.Context, action, id, detail string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = append(s.entries, apikey.AuditEntry{At: time.Now(), Actor: apikey.Actor(ctx), Action: action, KeyID: id, Detail: detail})
}

func (s *auditedStore) Create(ctx context.Context, d apikey.Digest, key apikey.Key) error {
	if err := s.pass("Create"); err != nil {
		return err
	}
	err := s.Store.Create(ctx, d, key)
	if err == nil {
		s.note(ctx, "create", key.ID, "")
	}
	return err
}

func (s *auditedStore) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	if err := s.pass("Revoke"); err != nil {
		return apikey.Key{}, err
	}
	key, err := s.Store.Revoke(ctx, id)
	if err == nil {
		s.note(ctx, "revoke", id, "")
	}
	return key, err
}

// Replace is noted for the old key, as sqlstore does.
func (s *auditedStore) Replace(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
	if err := s.pass("Replace"); err != nil {
		return apikey.Key{}, err
	}
	key, err := s.Store.Replace(ctx, id, expiresAt, d, successor)
	if err == nil {
		s.note(ctx, "create", key.ID, "")
		s.note(ctx, "replace", id, "by "+key.ID)
	}
	return key, err
}

// Audit has cursors that are the number of the next entry.
func (s *auditedStore) Audit(_ context.Context, keyID, cursor string, limit int) (found []apikey.AuditEntry, next string, err error) {
	if err := s.pass("Audit"); err != nil {
		return nil, "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from := len(s.entries) - 1
	if cursor != "" {
		if from, err = strconv.Atoi(cursor); err != nil || from >= len(s.entries) {
			return nil, "", fmt.Errorf("%w cursor", apikey.ErrInvalid)
		}
	}
	for i := from; i >= 0; i-- {
		if e := s.entries[i]; keyID == "" || e.KeyID == keyID {
			if len(found) == limit {
				return found, strconv.Itoa(i), nil
			}
			found = append(found, e)
		}
	}
	return found, "", nil
}
