package admin

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// recordedSessions records all data that is written to a session store.
type recordedSessions struct {
	scs.Store
	mu  sync.Mutex
	all strings.Builder
}

func (s *recordedSessions) Commit(token string, data []byte, expiry time.Time) error {
	s.mu.Lock()
	s.all.Write(data)
	s.mu.Unlock()
	return s.Store.Commit(token, data, expiry)
}

func (s *recordedSessions) written() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// A testStore is a memstore whose methods wait or fail on demand.
type testStore struct {
	*memstore.Store
	mu    sync.Mutex
	gates map[string]func() // by method: makes its next call wait
	errs  map[string]error  // by method: its result

	passes int // calls that succeed before errs counts
}

func (s *testStore) fails(method string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs, s.passes = map[string]error{method: err}, 0
}

// failsAfter makes a method fail after n calls.
func (s *testStore) failsAfter(method string, n int, err error) {
	s.fails(method, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passes = n
}

// gate makes the next call of a method close entered and wait until leave is closed.
func (s *testStore) gate(method string, entered, leave chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gates = map[string]func(){method: func() { close(entered); <-leave }}
}

func (s *testStore) pass(method string) error {
	s.mu.Lock()
	wait, err := s.gates[method], s.errs[method]
	delete(s.gates, method)
	if err != nil && s.passes > 0 {
		s.passes--
		err = nil
	}
	s.mu.Unlock()
	if wait != nil {
		wait()
	}
	return err
}

func (s *testStore) List(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
	if err := s.pass("List"); err != nil {
		return apikey.Page{}, err
	}
	return s.Store.List(ctx, o)
}

func (s *testStore) Count(ctx context.Context, o apikey.ListOptions) (apikey.Count, error) {
	if err := s.pass("Count"); err != nil {
		return apikey.Count{}, err
	}
	return s.Store.Count(ctx, o)
}

func (s *testStore) Get(ctx context.Context, id string) (apikey.Key, error) {
	if err := s.pass("Get"); err != nil {
		return apikey.Key{}, err
	}
	return s.Store.Get(ctx, id)
}

func (s *testStore) Create(ctx context.Context, d apikey.Digest, key apikey.Key) error {
	return s.If(apikey.Condition{}).Create(ctx, d, key)
}

func (s *testStore) If(c apikey.Condition) apikey.KeyManager { return testView{s, s.Store.If(c)} }

// A testView is a view of a testStore. Its methods wait or fail as those of the store.
type testView struct {
	*testStore
	view apikey.KeyManager
}

func (v testView) Create(ctx context.Context, d apikey.Digest, key apikey.Key) error {
	if err := v.pass("Create"); err != nil {
		return err
	}
	return v.view.Create(ctx, d, key)
}

func (v testView) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	if err := v.pass("Revoke"); err != nil {
		return apikey.Key{}, err
	}
	return v.view.Revoke(ctx, id)
}

func (v testView) Update(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
	if err := v.pass("Update"); err != nil {
		return apikey.Key{}, err
	}
	return v.view.Update(ctx, id, p)
}

func (v testView) Replace(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
	if err := v.pass("Replace"); err != nil {
		return apikey.Key{}, err
	}
	return v.view.Replace(ctx, id, expiresAt, d, successor)
}

func (s *testStore) RevokeAll(ctx context.Context, owner string) (int, error) {
	if err := s.pass("RevokeAll"); err != nil {
		return 0, err
	}
	return s.Store.RevokeAll(ctx, owner)
}

func (s *testStore) Audit(ctx context.Context, o apikey.AuditOptions) (apikey.AuditPage, error) {
	if err := s.pass("Audit"); err != nil {
		return apikey.AuditPage{}, err
	}
	return s.Store.Audit(ctx, o)
}

func (s *testStore) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	if err := s.pass("Lookup"); err != nil {
		return nil, err
	}
	return s.Store.Lookup(ctx, d)
}

func (s *testStore) Successors(ctx context.Context, ids []string) (map[string]string, error) {
	if err := s.pass("Successors"); err != nil {
		return nil, err
	}
	return s.Store.Successors(ctx, ids)
}
